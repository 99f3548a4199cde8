#pragma once

#include <optional>
#include <ostream>
#include <string>

namespace ebb {

struct ExplainOptions {
  std::string db;
  std::string at;  ///< ISO time; empty: the newest
  std::optional<std::uint64_t> tick;
  bool json = false;
};

/// `ebbd explain`: the recorded reasons for one tick, from the ledger's file, with or without a daemon on it. Exit 0,
/// or 1 with the reason.
int explain_command(const ExplainOptions& options, std::ostream& out, std::ostream& err);

/// `ebbd replay`: recomputes every recorded decision. Exit 0 when all came out as recorded, 1 when some did not, 2 when
/// none could be recomputed or the file could not be read.
int replay_command(const std::string& db, std::ostream& out, std::ostream& err);

}  // namespace ebb
