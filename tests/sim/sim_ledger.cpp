#include "tests/sim/sim_ledger.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/runtime/ledger_read.hpp"
#include "daemon/runtime/ledger_schema.hpp"
#include "daemon/runtime/ledger_weights.hpp"
#include "daemon/runtime/ledger_write.hpp"
#include "daemon/runtime/replay.hpp"
#include "tests/sim/judge.hpp"
#include "tests/sim/weights_judge.hpp"

namespace ebb::sim {
namespace {

constexpr const char* kPath = "/ebb.db";
// The file stays small, so that a run of weeks costs what a run of days does: six hours of decisions.
constexpr int kDecisionsKept = 360;
constexpr std::uint64_t kCleanEvery = 60;

/// The real ledger writes on a thread of its own: meanwhile others have their turn, or the power goes.
awaitable<void> others_turn() {
  auto executor = co_await boost::asio::this_coro::executor;
  co_await boost::asio::post(executor, boost::asio::use_awaitable);
}

}  // namespace

Status SimLedger::open() {
  auto opened = Database::open(kPath, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs_.name());
  if (!opened.ok()) return opened.error();
  db_ = std::move(*opened);
  ticks_ = TickWriter("sim");
  // Each commit writes whole pages, most of them for a few bytes: small ones are a quarter of the work.
  if (Status set = db_->run("PRAGMA page_size = 1024; PRAGMA locking_mode = EXCLUSIVE"); !set.ok()) return set;
  Status ready = prepare_ledger_file(*db_, kPath);
  // A crash writes nothing back either.
  db_->leave_log_on_close(true);
  return ready;
}

void SimLedger::close() { db_.reset(); }

Result<std::string> SimLedger::forgotten() {
  // What retention may have removed is not looked for.
  const Result<std::int64_t> oldest = db_->number("SELECT min(tick) FROM decisions");
  if (!oldest.ok()) return oldest.error();
  for (const ActionId& id : confirmed_) {
    if (std::stoll(id.value) < *oldest) continue;
    Result<Statement> find = db_->prepare("SELECT 1 FROM actions WHERE id = ?");
    if (!find.ok()) return find.error();
    const Result<bool> row = find->bind(id.value).step();
    if (!row.ok()) return row.error();
    if (!*row) return id.value;
  }
  std::erase_if(confirmed_, [&](const ActionId& id) { return std::stoll(id.value) < *oldest; });
  return std::string();
}

Result<std::string> SimLedger::recomputed_otherwise() {
  std::string first;
  const auto tell = [&](const Difference& difference) {
    if (!first.empty()) return;
    first = "tick " + std::to_string(difference.tick);
    for (const std::string& line : difference.lines) first += "\n  " + line;
  };
  const Result<ReplayReport> report = replay(*db_, tell);
  if (!report.ok()) return report.error();
  // Up to the first row that is whole: what the oldest ones changed from is no longer kept.
  if (report->unreadable >= static_cast<std::int64_t>(kFullEvery)) return report->first_unreadable;
  return first;
}

Result<std::int64_t> SimLedger::unfinished() {
  return db_->number("SELECT count(*) FROM actions WHERE outcome IS NULL");
}

bool SimLedger::write(const Event& event) {
  const bool done = write_event(*db_, event).ok();
  books_.told(event, done);
  return done;
}

awaitable<Status> SimLedger::record(const Observation& seen, const State& before, const Decision& decision,
                                    std::shared_ptr<const Config> config) {
  co_await others_turn();
  Status done = ticks_.write(*db_, {seen, before, decision, std::move(config)});
  const std::string unsaid = books_.decided(decision, done.ok());
  if (!unsaid.empty()) judge_.say("I9: a recorded decision knows how " + unsaid + " ended, and the ledger does not");
  if (!done.ok()) co_return done;
  for (const Action& action : decision.plan.actions) confirmed_.insert(action.id);
  if (++written_ % kCleanEvery == 0) {
    Retention retention{LedgerConfig(), 1LL << 30, decision.at, decision.tick};
    retention.config.max_decisions = kDecisionsKept;
    (void)clean_up_a_little(*db_, retention);
  }
  co_return done;
}
awaitable<Status> SimLedger::record(std::vector<Outcome> outcomes) {
  co_await others_turn();
  Status done = write_outcomes(*db_, outcomes);
  books_.ended(outcomes, done.ok());
  co_return done;
}
awaitable<Result<std::uint64_t>> SimLedger::record(Event event) {
  Result<std::uint64_t> done = write_event(*db_, event);
  books_.told(event, done.ok());
  co_return done;
}
awaitable<Result<Recovered>> SimLedger::recover() {
  Result<Recovered> found = read_recovered(*db_);
  if (!found.ok()) co_return found;
  const std::string missing = books_.missing_in(*found);
  if (!missing.empty()) judge_.say("I9: a restart does not find what was recorded: " + missing);
  books_.restarted(*found);
  co_return found;
}
awaitable<Result<std::vector<nlohmann::json>>> SimLedger::decisions(Page page) { co_return read_page(*db_, page); }
awaitable<Result<nlohmann::json>> SimLedger::decision_at(TimePoint at) { co_return read_decision_at(*db_, at); }
awaitable<Result<nlohmann::json>> SimLedger::decision(std::uint64_t tick) { co_return read_decision(*db_, tick); }
awaitable<Result<std::vector<Event>>> SimLedger::events(std::uint64_t after_seq, int limit) {
  co_return read_events(*db_, after_seq, limit);
}
awaitable<Result<std::vector<ActionRow>>> SimLedger::actions(int limit) { co_return read_actions(*db_, limit); }

awaitable<Status> SimLedger::record_weights(WeightsRecord record) {
  weights_.recording(record);
  co_await others_turn();
  Status done = write_weights(*db_, record);
  if (done.ok()) weights_.recorded(record);
  co_await others_turn();
  co_return done;
}
awaitable<Result<std::map<JobId, JobWeights>>> SimLedger::recover_weights() {
  Result<std::map<JobId, JobWeights>> found = read_weights(*db_);
  if (found.ok()) weights_.recovered(*found);
  co_return found;
}
awaitable<Result<Known>> SimLedger::known(JobId job, Identity identity, std::string run) {
  co_await others_turn();
  co_return read_known(*db_, job, identity, run);
}
awaitable<Result<std::vector<SnapshotRow>>> SimLedger::snapshots(WeightsPage page) {
  co_return read_snapshots(*db_, page);
}
awaitable<Result<std::vector<LoadRow>>> SimLedger::loads(WeightsPage page) { co_return read_loads(*db_, page); }

}  // namespace ebb::sim
