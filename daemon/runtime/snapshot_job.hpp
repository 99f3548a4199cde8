// The coordinator of one job.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/core/hotload.hpp"
#include "daemon/runtime/bell.hpp"
#include "daemon/runtime/snapshot_coordinator.hpp"

namespace ebb {

class JobSnapshots {
 public:
  JobSnapshots(boost::asio::any_io_executor executor, const SnapshotCoordinator::Parts& parts, JobId job,
               JobWeights state);

  awaitable<void> run();
  void stop();
  void poke();

  awaitable<Result<SnapshotPlan>> plan(std::string run, std::optional<std::int64_t> step);
  awaitable<Result<Snapshots::Published>> publish(Publication said);
  awaitable<Result<Snapshot>> ended(Identity identity, TimePoint until);
  awaitable<Status> reset(std::string by);
  [[nodiscard]] Result<WeightsView> view();
  [[nodiscard]] std::optional<SnapshotCoordinator::Standing> standing() const;

 private:
  /// The job as it is configured now, with its adapters; held for a pass, so that a reload cannot change it half-way.
  struct Setting {
    std::shared_ptr<const Config> config;
    std::shared_ptr<const SnapshotWiring> wiring;
    const JobConfig* job = nullptr;  ///< null: not configured any more, or without snapshots
    std::map<DeploymentId, HotloadCapabilities> fleets;
    [[nodiscard]] const SnapshotsConfig& snapshots() const { return job->snapshots; }
    /// Nothing is signalled; what an earlier mode has paused is resumed all the same.
    [[nodiscard]] bool advises() const { return config->mode == Mode::advise; }
  };
  [[nodiscard]] Setting setting() const;
  /// Empty, or why a trainer cannot publish.
  [[nodiscard]] std::optional<Error> closed(const Setting& now) const;
  [[nodiscard]] CadenceChoice cadence(const Setting& now) const;
  [[nodiscard]] ChainRules rules(const Setting& now) const;

  awaitable<void> pass(Setting now);
  awaitable<WeightsSeen> look(const Setting& now, const JobFleet& fleet);
  awaitable<void> send(Setting now, LoadOrder order, std::vector<EngineAddress> engines);
  [[nodiscard]] bool still_wanted(LoadOrder& order, std::vector<EngineAddress>& engines) const;
  /// Pauses and signals; `done` says how it went. Nothing: it is not wanted any more, and was not signalled.
  awaitable<std::optional<LoadEvent>> tell(const Setting& now, std::shared_ptr<Hotload> hotload, LoadOrder order,
                                           std::vector<EngineAddress> engines, Status& done);
  awaitable<void> resume(Setting now, DeploymentId deployment, std::vector<ReplicaId> names,
                         std::vector<EngineAddress> engines);
  void listen(const Setting& now);
  awaitable<void> verify(Identity identity);
  void begin_verifying();
  void judge(const Snapshot& snapshot, const Verdict& verdict);

  /// Adopts what was decided; it is recorded by the next `record`.
  void take(WeightsDraft draft);
  awaitable<bool> record();
  [[nodiscard]] const Snapshot* waiting(const Identity& identity) const;
  /// Waiting, or ended so lately that the ledger does not know it; null: neither. Valid until the next change.
  [[nodiscard]] const Snapshot* lately(const Identity& identity) const;

  boost::asio::any_io_executor executor_;
  const SnapshotCoordinator::Parts& parts_;
  const JobId job_;
  JobWeights state_;
  std::shared_ptr<const JobWeights> view_;  ///< of `state_`; null: to be made
  Bell changed_;
  Bell wake_;
  Bell recorded_;
  std::vector<Snapshot> unrecorded_snapshots_;
  std::vector<LoadNote> unrecorded_notes_;
  std::optional<WeightsReset> unrecorded_reset_;
  std::set<DeploymentId> sending_;     ///< from staging to the answer
  std::set<DeploymentId> signalling_;  ///< the signal is on its way: nobody of the order may run before it is answered
  std::set<DeploymentId> resuming_;
  std::set<Identity> verifying_;
  std::shared_ptr<const SnapshotWiring> heard_;                   ///< whose adapters tell us of loads that end
  std::shared_ptr<const bool> alive_ = std::make_shared<bool>();  ///< they may outlive us
  bool dirty_ = false;      ///< the state has changed since the newest record was begun
  bool recording_ = false;  ///< a record is under way
  bool poked_ = false;
  bool stopping_ = false;
};

}  // namespace ebb
