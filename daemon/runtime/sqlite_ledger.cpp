#include "daemon/runtime/sqlite_ledger.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/ledger_read.hpp"
#include "daemon/runtime/ledger_schema.hpp"
#include "daemon/runtime/ledger_weights.hpp"
#include "daemon/runtime/ledger_write.hpp"

namespace ebb {
namespace {

using nlohmann::json;

// A clean-up ends after so many steps at the latest and goes on at the next one: 10,000 rows of a table.
constexpr int kStepsMax = 50;

Error cannot(const std::string& doing, const Error& error) {
  return {error.code, "the ledger cannot " + doing + ": " + error.what, error.retryable};
}

/// The result with what was being done in front of its error.
template <class R>
R told(R result, const std::string& doing) {
  if (result.ok()) return result;
  return cannot(doing, result.error());
}

/// As `told`, but a decision that is not there is no failure of the ledger.
Result<json> told_unless_absent(Result<json> result, const std::string& doing) {
  if (!result.ok() && result.error().code == ErrorCode::not_found) return result;
  return told(std::move(result), doing);
}

}  // namespace

SqliteLedger::SqliteLedger(std::unique_ptr<ProcessLock> lock, std::unique_ptr<Database> writing,
                           std::unique_ptr<Database> reading, LedgerConfig config, std::string build, LedgerKnobs knobs)
    : config_(std::move(config)),
      knobs_(knobs),
      lock_(std::move(lock)),
      writing_(std::move(writing)),
      reading_(std::move(reading)),
      ticks_(std::move(build)) {}

SqliteLedger::~SqliteLedger() { close(); }

void SqliteLedger::close() {
  writer_.join();
  reader_.join();
}

Result<std::unique_ptr<SqliteLedger>> SqliteLedger::open(const std::string& path, const LedgerConfig& config,
                                                         std::string build_id, LedgerKnobs knobs) {
  auto lock = ProcessLock::take_file(path + ".lock", "the ledger " + path);
  if (!lock.ok()) return lock.error();
  if (Status sound = check_before_opening(path); !sound.ok()) return sound.error();
  auto writing = Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, knobs.vfs);
  if (!writing.ok()) return cannot("open " + path, writing.error());
  if (Status ready = prepare_ledger_file(**writing, path); !ready.ok()) return ready.error();
  auto reading = Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, knobs.vfs);
  if (!reading.ok()) return cannot("open " + path, reading.error());
  if (Status only = (*reading)->run("PRAGMA query_only = 1"); !only.ok()) return cannot("open " + path, only.error());
  return std::unique_ptr<SqliteLedger>(
      new SqliteLedger(std::move(*lock), std::move(*writing), std::move(*reading), config, std::move(build_id), knobs));
}

awaitable<Status> SqliteLedger::record(const Observation& seen, const State& before, const Decision& decision,
                                       std::shared_ptr<const Config> config) {
  // Copied, since the text is made over there: for 10,000 replicas that is tens of milliseconds.
  auto work = [this, tick = TickRecord{seen, before, decision, std::move(config)}]() mutable -> Status {
    const std::string doing = "record tick " + std::to_string(tick.decision.tick);
    return told(ticks_.write(*writing_, std::move(tick)), doing);
  };
  const TimePoint now = decision.at;
  const std::uint64_t tick = decision.tick;
  Status done = co_await writer_.run(std::move(work));
  if (!done.ok()) co_return done;
  // The second one cleans up already, or a daemon that restarts all the time never would.
  if (++written_ % knobs_.clean_every == 2 % knobs_.clean_every && !cleaning_) {
    spawn(co_await boost::asio::this_coro::executor, clean_up(now, tick));
  }
  co_return done;
}

awaitable<void> SqliteLedger::clean_up(TimePoint now, std::uint64_t tick) {
  cleaning_ = true;
  // Step by step, so that what is to be recorded in the meantime goes between them.
  for (int i = 0; i < kStepsMax; ++i) {
    auto work = [this, now, tick]() -> Result<bool> {
      const Retention retention{config_, knobs_.bytes_max, now, tick};
      return clean_up_a_little(*writing_, retention);
    };
    const Result<bool> more = co_await writer_.run(std::move(work));
    // A clean-up that fails is tried again with the next; what was recorded stays recorded.
    if (!more.ok() || !*more) break;
  }
  cleaning_ = false;
}

awaitable<Status> SqliteLedger::record(std::vector<Outcome> outcomes) {
  auto work = [this, outcomes = std::move(outcomes)]() -> Status {
    return told(write_outcomes(*writing_, outcomes), "record outcomes");
  };
  co_return co_await writer_.run(std::move(work));
}

awaitable<Result<std::uint64_t>> SqliteLedger::record(Event event) {
  auto work = [this, event = std::move(event)]() -> Result<std::uint64_t> {
    return told(write_event(*writing_, event), "record an event");
  };
  co_return co_await writer_.run(std::move(work));
}

awaitable<Result<Recovered>> SqliteLedger::recover() {
  auto work = [this] { return told(read_recovered(*writing_), "be read"); };
  co_return co_await writer_.run(std::move(work));
}

awaitable<Result<std::vector<json>>> SqliteLedger::decisions(Page page) {
  auto work = [this, page] { return told(read_page(*reading_, page), "be read"); };
  co_return co_await reader_.run(std::move(work));
}

awaitable<Result<json>> SqliteLedger::decision_at(TimePoint at) {
  auto work = [this, at] { return told_unless_absent(read_decision_at(*reading_, at), "be read"); };
  co_return co_await reader_.run(std::move(work));
}

awaitable<Result<json>> SqliteLedger::decision(std::uint64_t tick) {
  auto work = [this, tick] { return told_unless_absent(read_decision(*reading_, tick), "be read"); };
  co_return co_await reader_.run(std::move(work));
}

awaitable<Result<std::vector<Event>>> SqliteLedger::events(std::uint64_t after_seq, int limit) {
  auto work = [this, after_seq, limit] { return told(read_events(*reading_, after_seq, limit), "be read"); };
  co_return co_await reader_.run(std::move(work));
}

awaitable<Result<std::vector<ActionRow>>> SqliteLedger::actions(int limit) {
  auto work = [this, limit] { return told(read_actions(*reading_, limit), "be read"); };
  co_return co_await reader_.run(std::move(work));
}

awaitable<Status> SqliteLedger::record_weights(WeightsRecord record) {
  auto work = [this, record = std::move(record)]() -> Status {
    return told(write_weights(*writing_, record), "record the weights of " + record.job.value);
  };
  co_return co_await writer_.run(std::move(work));
}

awaitable<Result<std::map<JobId, JobWeights>>> SqliteLedger::recover_weights() {
  auto work = [this] { return told(read_weights(*writing_), "be read"); };
  co_return co_await writer_.run(std::move(work));
}

awaitable<Result<Known>> SqliteLedger::known(JobId job, Identity identity, std::string run) {
  auto work = [this, job = std::move(job), identity = std::move(identity), run = std::move(run)] {
    return told(read_known(*writing_, job, identity, run), "be read");
  };
  co_return co_await writer_.run(std::move(work));
}

awaitable<Result<std::vector<SnapshotRow>>> SqliteLedger::snapshots(WeightsPage page) {
  auto work = [this, page = std::move(page)] { return told(read_snapshots(*reading_, page), "be read"); };
  co_return co_await reader_.run(std::move(work));
}

awaitable<Result<std::vector<LoadRow>>> SqliteLedger::loads(WeightsPage page) {
  auto work = [this, page = std::move(page)] { return told(read_loads(*reading_, page), "be read"); };
  co_return co_await reader_.run(std::move(work));
}

}  // namespace ebb
