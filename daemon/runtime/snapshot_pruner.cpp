#include "daemon/runtime/snapshot_pruner.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "daemon/core/hotload.hpp"

namespace ebb {
namespace {

constexpr Duration kIntervalMin{1'000};
constexpr Duration kIntervalMax{600'000};
constexpr Duration kListTimeout{60'000};
// Thousands of objects, deleted one by one.
constexpr Duration kRemoveTimeout{600'000};

/// A tenth of the shortest wait, so that nothing stays much longer than was asked for.
Duration interval_of(const Config& config) {
  Duration out = kIntervalMax;
  for (const JobConfig& job : config.jobs) {
    if (job.snapshots.prune_after > Duration{0}) out = std::min(out, job.snapshots.prune_after / 10);
  }
  return std::clamp(out, kIntervalMin, kIntervalMax);
}

}  // namespace

SnapshotPruner::SnapshotPruner(boost::asio::any_io_executor executor, Parts parts)
    : parts_(std::move(parts)), wake_(std::move(executor)) {}

void SnapshotPruner::stop() {
  stopping_ = true;
  wake_.ring();
}

awaitable<void> SnapshotPruner::run() {
  while (!stopping_) {
    co_await look_at_all();
    if (stopping_) co_return;
    const TimePoint next = parts_.clock.now() + interval_of(*parts_.config());
    co_await wake_.wait(parts_.clock, next);
  }
}

awaitable<void> SnapshotPruner::look_at_all() {
  const std::shared_ptr<const Config> config = parts_.config();
  const std::shared_ptr<const SnapshotWiring> wiring = parts_.wiring();
  if (config->mode != Mode::act) co_return;
  for (const JobConfig& job : config->jobs) {
    const auto store = wiring->stores.find(job.name);
    const bool wanted = job.snapshots.enabled && job.snapshots.prune_after > Duration{0};
    if (stopping_ || !wanted || store == wiring->stores.end()) continue;
    co_await look(job, store->second);
  }
}

bool SnapshotPruner::is_needed(const JobId& job, const Identity& identity) const {
  const Result<WeightsView> view = parts_.snapshots.weights(job);
  return !view.ok() || needed(*view->weights).contains(identity);
}

awaitable<void> SnapshotPruner::look(JobConfig job, std::shared_ptr<SnapshotStore> store) {
  const Result<std::vector<Identity>> there = co_await store->identities(parts_.clock.now() + kListTimeout);
  if (!there.ok()) {
    spdlog::warn("job={} prune=failed problem=\"{}\"", job.name.value, there.error().what);
    co_return;
  }
  std::map<Identity, TimePoint> since;
  for (const Identity& identity : *there) {
    if (is_needed(job.name, identity)) continue;
    const auto before = unneeded_since_[job.name].find(identity);
    const TimePoint now = parts_.clock.now();
    since[identity] = before == unneeded_since_[job.name].end() ? now : before->second;
    if (stopping_ || now - since[identity] < job.snapshots.prune_after) continue;
    const Result<Known> known = co_await parts_.ledger.known(job.name, identity, "");
    // Asked again, right before: meanwhile it may have been published.
    if (!known.ok() || !known->same || is_needed(job.name, identity)) continue;
    const Status removed = co_await store->remove(identity, parts_.clock.now() + kRemoveTimeout);
    if (removed.ok()) {
      spdlog::info("job={} snapshot={} pruned=\"no chain has needed it for {}\"", job.name.value, identity.value,
                   to_text(job.snapshots.prune_after));
      since.erase(identity);
    } else {
      spdlog::warn("job={} snapshot={} prune=failed problem=\"{}\"", job.name.value, identity.value,
                   removed.error().what);
    }
  }
  unneeded_since_[job.name] = std::move(since);
}

}  // namespace ebb
