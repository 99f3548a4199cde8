#pragma once

#include <string>

#include "daemon/model/result.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

/// The schema this build writes; kept in the file's user_version.
inline constexpr int kLedgerSchema = 3;

/// What SQLite would silently take for an empty database although it is one that was damaged. Looks only.
Status check_before_opening(const std::string& path);

/// Checks the file, sets the connection up (WAL, synchronous FULL) and makes or migrates the tables. A damaged, foreign
/// or newer file is refused and left as it is. Reads the whole file: about a second for a gigabyte.
Status prepare_ledger_file(Database& db, const std::string& path);

}  // namespace ebb
