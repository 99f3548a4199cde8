#include "daemon/runtime/snapshot_coordinator.hpp"

#include <utility>

#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/snapshot_job.hpp"

namespace ebb {

SnapshotCoordinator::SnapshotCoordinator(boost::asio::any_io_executor executor, Parts parts)
    : executor_(std::move(executor)), parts_(std::move(parts)) {}

SnapshotCoordinator::~SnapshotCoordinator() = default;

awaitable<Status> SnapshotCoordinator::recover() {
  Result<std::map<JobId, JobWeights>> before = co_await parts_.ledger.recover_weights();
  if (!before.ok()) co_return before.error();
  recovered_ = std::move(*before);
  ready_ = true;
  co_return Done();
}

void SnapshotCoordinator::start() {
  if (!ready_ || stopping_) return;
  for (const JobConfig& job : parts_.config()->jobs) {
    if (!job.snapshots.enabled || jobs_.contains(job.name)) continue;
    // A job that was taken out of the configuration and put back goes on with what it has.
    auto made = std::make_unique<JobSnapshots>(executor_, parts_, job.name, std::move(recovered_[job.name]));
    spawn(executor_, made->run());
    jobs_[job.name] = std::move(made);
  }
}

void SnapshotCoordinator::stop() {
  stopping_ = true;
  for (const auto& [name, job] : jobs_) job->stop();
}

std::optional<SnapshotCoordinator::Standing> SnapshotCoordinator::standing(const JobId& job) const {
  const auto at = jobs_.find(job);
  return at == jobs_.end() ? std::nullopt : at->second->standing();
}

Result<JobSnapshots*> SnapshotCoordinator::of(const JobId& job) const {
  const auto at = jobs_.find(job);
  if (at != jobs_.end()) return at->second.get();
  // The API answers a moment before the ledger has been read. A trainer that is told `not_found` then gives up.
  for (const JobConfig& one : parts_.config()->jobs) {
    if (one.name != job || !one.snapshots.enabled) continue;
    return Error{ErrorCode::unreachable, "the daemon is starting and has not read the ledger yet; ask again", true};
  }
  return Error{ErrorCode::not_found, "there is no job '" + job.value.substr(0, 64) + "' with snapshots", false};
}

awaitable<Result<SnapshotPlan>> SnapshotCoordinator::plan(JobId job, std::string run,
                                                          std::optional<std::int64_t> step) {
  const Result<JobSnapshots*> found = of(job);
  if (!found.ok()) co_return found.error();
  co_return co_await (*found)->plan(std::move(run), step);
}

awaitable<Result<Snapshots::Published>> SnapshotCoordinator::publish(JobId job, Publication said) {
  const Result<JobSnapshots*> found = of(job);
  if (!found.ok()) co_return found.error();
  co_return co_await (*found)->publish(std::move(said));
}

awaitable<Result<Snapshot>> SnapshotCoordinator::ended(JobId job, Identity identity, TimePoint until) {
  const Result<JobSnapshots*> found = of(job);
  if (!found.ok()) co_return found.error();
  co_return co_await (*found)->ended(std::move(identity), until);
}

awaitable<Status> SnapshotCoordinator::reset(JobId job, std::string by) {
  const Result<JobSnapshots*> found = of(job);
  if (!found.ok()) co_return found.error();
  co_return co_await (*found)->reset(std::move(by));
}

Result<WeightsView> SnapshotCoordinator::weights(const JobId& job) const {
  const Result<JobSnapshots*> found = of(job);
  if (!found.ok()) return found.error();
  return (*found)->view();
}

}  // namespace ebb
