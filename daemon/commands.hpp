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

}  // namespace ebb
