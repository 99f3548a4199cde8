// The ledger in SQLite: what was decided, why, what was tried and how it ended.
//
//   decisions  one row a tick: the decision as JSON without the rendered sentences.
//   inputs     what it was made from: the observation and the states before and after, whole every hundredth tick and
//              after an opening, else as what changed since the row of tick `base` (model/json_delta.hpp). Enough to
//              recompute each decision. A table of its own: thinned, it gives its pages back.
//   configs    the text of every configuration that decided, by its hash.
//   state      one row: the state after the last whole row of inputs, with its tick, that of the newest decision,
//   and
//              the numbers of the newest events of then and of the decision before. A restart needs nothing else but
//              what the decisions since then changed and
//   actions    one row an action, written with its decision; the outcome is added later, with the tick it came after.
//              Those without are unfinished.
//   events     overrides, demand, starts and stops, numbered in their order.
//   weights, snapshots, loads, resets
//              what became of the weights: runtime/ledger_weights.hpp.
//
// Nothing here depends on the wall clock being right: a restart goes by numbers, the clock is for people and retention.
#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "daemon/ports/ledger.hpp"
#include "daemon/ports/weights_ledger.hpp"
#include "daemon/ports/worker.hpp"
#include "daemon/runtime/ledger_write.hpp"
#include "daemon/runtime/process_lock.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

/// What a configuration does not name.
struct LedgerKnobs {
  const char* vfs = nullptr;               ///< SQLite's file layer; tests inject faults here
  std::int64_t bytes_max = 1'073'741'824;  ///< beyond it the oldest copies in full go, then the oldest decisions
  std::uint64_t clean_every = 60;          ///< decisions between two clean-ups: five minutes at the default tick
};

class SqliteLedger final : public Ledger, public WeightsLedger {
 public:
  /// Opens or makes the file, takes <path>.lock and checks the file. Errors: `malformed` for one that is damaged or no
  /// ledger (left as it is), `conflict` for one of a newer schema or that another process uses, `denied`. Blocking;
  /// before the loop starts.
  static Result<std::unique_ptr<SqliteLedger>> open(const std::string& path, const LedgerConfig& config,
                                                    std::string build_id, LedgerKnobs knobs = LedgerKnobs());
  ~SqliteLedger() override;

  awaitable<Status> record(const Observation& seen, const State& before, const Decision& decision,
                           std::shared_ptr<const Config> config) override;
  awaitable<Status> record(std::vector<Outcome> outcomes) override;
  awaitable<Result<std::uint64_t>> record(Event event) override;
  awaitable<Result<Recovered>> recover() override;
  awaitable<Result<std::vector<nlohmann::json>>> decisions(Page page) override;
  awaitable<Result<nlohmann::json>> decision_at(TimePoint at) override;
  awaitable<Result<nlohmann::json>> decision(std::uint64_t tick) override;
  awaitable<Result<std::vector<Event>>> events(std::uint64_t after_seq, int limit) override;
  awaitable<Result<std::vector<ActionRow>>> actions(int limit) override;

  awaitable<Status> record_weights(WeightsRecord record) override;
  awaitable<Result<std::map<JobId, JobWeights>>> recover_weights() override;
  awaitable<Result<Known>> known(JobId job, Identity identity, std::string run) override;
  awaitable<Result<std::vector<SnapshotRow>>> snapshots(WeightsPage page) override;
  awaitable<Result<std::vector<LoadRow>>> loads(WeightsPage page) override;

  /// Finishes what was queued and ends the threads. Before the io_context of the callers goes.
  void close();

 private:
  SqliteLedger(std::unique_ptr<ProcessLock> lock, std::unique_ptr<Database> writing, std::unique_ptr<Database> reading,
               LedgerConfig config, std::string build, LedgerKnobs knobs);
  awaitable<void> clean_up(TimePoint now, std::uint64_t tick);

  const LedgerConfig config_;
  const LedgerKnobs knobs_;
  std::unique_ptr<ProcessLock> lock_;
  // A connection and a thread for each direction: with WAL a page of 1,000 decisions (tens of milliseconds to read and
  // parse) is read beside the write of an intent, not before it.
  std::unique_ptr<Database> writing_;
  std::unique_ptr<Database> reading_;
  TickWriter ticks_;           ///< on the writer's thread
  std::uint64_t written_ = 0;  ///< decisions by this object
  bool cleaning_ = false;
  Worker writer_;
  Worker reader_;
};

}  // namespace ebb
