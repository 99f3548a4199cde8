// Brings each job's snapshots to its replicas: look, decide, record, act. What is decided is core/hotload's business;
// this is the edge around it, one coroutine a job.
//
//   publish -> verify (a task) -> signal each deployment (a task each) -> look until they serve -> the next one
//
// Nothing goes out that was not recorded (I9). While the ledger is down nothing is signalled; what changed meanwhile is
// recorded with the first write that succeeds.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/snapshots.hpp"
#include "daemon/ports/weights_ledger.hpp"
#include "daemon/runtime/job_fleet.hpp"
#include "daemon/runtime/wiring.hpp"

namespace ebb {

class JobSnapshots;

class SnapshotCoordinator final : public Snapshots {
 public:
  struct Parts {
    Clock& clock;
    WeightsLedger& ledger;
    std::function<std::shared_ptr<const Config>()> config;
    std::function<std::shared_ptr<const SnapshotWiring>()> wiring;
    std::function<JobFleet(const JobConfig&)> fleet;
    std::function<void()> poke;  ///< the control loop has something new to see
  };

  SnapshotCoordinator(boost::asio::any_io_executor executor, Parts parts);
  ~SnapshotCoordinator() override;

  /// What the last run left; before `start`. Orders that were being sent are asked after, not repeated.
  awaitable<Status> recover();
  /// A coroutine for each job that has snapshots and none yet; also after a reload. Does nothing before `recover`: a
  /// job that began with nothing would overwrite what it had.
  void start();
  void stop();

  /// Replicas that may work on rollouts (I8), and deployments with an order under way (I7). Nothing for a job without
  /// snapshots.
  struct Standing {
    std::set<ReplicaId> current;
    std::set<DeploymentId> loading;
  };
  [[nodiscard]] std::optional<Standing> standing(const JobId& job) const;

  awaitable<Result<SnapshotPlan>> plan(JobId job, std::string run, std::optional<std::int64_t> step) override;
  awaitable<Result<Published>> publish(JobId job, Publication said) override;
  awaitable<Result<Snapshot>> ended(JobId job, Identity identity, TimePoint until) override;
  awaitable<Status> reset(JobId job, std::string by) override;
  [[nodiscard]] Result<WeightsView> weights(const JobId& job) const override;

 private:
  [[nodiscard]] Result<JobSnapshots*> of(const JobId& job) const;

  boost::asio::any_io_executor executor_;
  Parts parts_;
  std::map<JobId, JobWeights> recovered_;
  std::map<JobId, std::unique_ptr<JobSnapshots>> jobs_;
  bool ready_ = false;
  bool stopping_ = false;
};

}  // namespace ebb
