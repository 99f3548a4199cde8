// The real ledger's tables and statements over files in memory, without the ledger's threads: under a virtual clock
// everything stays on the control thread.
#pragma once

#include <memory>
#include <set>

#include "daemon/ports/ledger.hpp"
#include "daemon/ports/weights_ledger.hpp"
#include "daemon/runtime/ledger_write.hpp"
#include "daemon/runtime/sqlite.hpp"
#include "tests/sim/confirmed.hpp"
#include "tests/sim/memory_vfs.hpp"

namespace ebb::sim {

class Judge;
class WeightsJudge;

class SimLedger final : public Ledger, public WeightsLedger {
 public:
  SimLedger(MemoryVfs& vfs, Judge& judge, WeightsJudge& weights) : vfs_(vfs), judge_(judge), weights_(weights) {}

  /// As the daemon opens it, checks included. After `close`, again.
  Status open();
  /// As the daemon's end does, without a last word to the file.
  void close();

  /// Ids of actions whose record was confirmed.
  [[nodiscard]] const std::set<ActionId>& confirmed() const { return confirmed_; }
  /// A confirmed action that is no longer in the file; empty: none.
  Result<std::string> forgotten();
  /// A recorded decision that recomputes otherwise; empty: none.
  Result<std::string> recomputed_otherwise();
  /// Recorded actions without an outcome.
  Result<std::int64_t> unfinished();

  /// What the API does, without waiting; false: it could not be recorded.
  bool write(const Event& event);

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

 private:
  MemoryVfs& vfs_;
  Judge& judge_;
  WeightsJudge& weights_;
  std::unique_ptr<Database> db_;
  TickWriter ticks_{"sim"};
  std::set<ActionId> confirmed_;
  Confirmed books_;
  std::uint64_t written_ = 0;
};

}  // namespace ebb::sim
