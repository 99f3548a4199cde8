#include "daemon/commands.hpp"

#include <nlohmann/json.hpp>

#include "daemon/runtime/build_id.hpp"
#include "daemon/runtime/ledger_read.hpp"
#include "daemon/runtime/replay.hpp"

namespace ebb {
namespace {

/// From the file alone, also while a daemon writes it.
Result<nlohmann::json> recorded(const std::string& path, std::optional<TimePoint> at,
                                std::optional<std::uint64_t> tick) {
  const auto db = Database::open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX);
  if (!db.ok()) return db.error();
  constexpr TimePoint kNewest{std::chrono::sys_days{std::chrono::year{9999} / 12 / 31}};
  return tick ? read_decision(**db, *tick) : read_decision_at(**db, at.value_or(kNewest));
}

}  // namespace

int explain_command(const ExplainOptions& options, std::ostream& out, std::ostream& err) {
  std::optional<TimePoint> at;
  if (!options.at.empty()) {
    at = from_iso(options.at);
    if (!at) {
      err << "ebbd explain: --at is a time such as 2026-03-01T14:03:20Z, got '" << options.at << "'\n";
      return 2;
    }
  }
  const Result<nlohmann::json> decision = recorded(options.db, at, options.tick);
  if (!decision.ok()) {
    err << "ebbd explain: " << decision.error().what << "\n";
    return 1;
  }
  if (options.json) {
    out << decision->dump(2) << "\n";
    return 0;
  }
  out << "tick " << decision->value("tick", 0) << " at " << decision->value("at", "")
      << (decision->value("early", false) ? " (early)" : "") << "\n";
  std::string stage;
  for (const nlohmann::json& step : decision->at("why")) {
    if (step.value("stage", "") != stage) out << (stage = step.value("stage", "")) << "\n";
    out << "  " << step.value("text", "") << "\n";
  }
  return 0;
}

int replay_command(const std::string& path, std::ostream& out, std::ostream& err) {
  const auto db = Database::open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX);
  if (!db.ok()) {
    err << "ebbd replay: " << db.error().what << "\n";
    return 2;
  }
  // The rest is counted: after a change to a policy nearly every tick differs.
  constexpr int kShown = 10;
  int shown = 0;
  const auto tell = [&](const Difference& difference) {
    if (++shown > kShown) return;
    out << "tick " << difference.tick << " at " << to_iso(difference.at) << ", recorded by " << difference.build
        << "\n";
    for (const std::string& line : difference.lines) out << "  " << line << "\n";
  };
  const Result<ReplayReport> report = replay(**db, tell);
  if (!report.ok()) {
    err << "ebbd replay: " << report.error().what << "\n";
    return 2;
  }
  if (shown > kShown) out << "and " << shown - kShown << " more that differ\n";
  out << report->same + report->different << " decisions recomputed: " << report->same << " the same, "
      << report->different << " different\n";
  if (report->unreadable > 0) {
    out << report->unreadable << " could not be recomputed; of the oldest, " << report->first_unreadable << "\n";
  }
  for (const std::string& build : report->builds) {
    if (build != build_id()) out << "some were recorded by build " << build << "; this is " << build_id() << "\n";
  }
  if (report->same + report->different == 0) {
    err << "ebbd replay: nothing in " << path << " could be recomputed\n";
    return 2;
  }
  return report->different == 0 ? 0 : 1;
}

}  // namespace ebb
