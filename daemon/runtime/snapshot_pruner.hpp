// Deletes from the stores what no chain has needed for `snapshots.prune_after`: what `ebbctl snapshots --prunable`
// names. What is in a store without having been published for the job is not its business.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>

#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/snapshots.hpp"
#include "daemon/ports/weights_ledger.hpp"
#include "daemon/runtime/bell.hpp"
#include "daemon/runtime/wiring.hpp"

namespace ebb {

class SnapshotPruner {
 public:
  struct Parts {
    Clock& clock;
    WeightsLedger& ledger;
    const Snapshots& snapshots;
    std::function<std::shared_ptr<const Config>()> config;
    std::function<std::shared_ptr<const SnapshotWiring>()> wiring;
  };

  SnapshotPruner(boost::asio::any_io_executor executor, Parts parts);

  /// Until `stop`. Does nothing while no job is configured to delete, or while the daemon only advises. How long
  /// something has been unneeded counts from when this process saw it first: a restart deletes later, never sooner.
  awaitable<void> run();
  void stop();

  /// One look at one job's store; for tests.
  awaitable<void> look(JobConfig job, std::shared_ptr<SnapshotStore> store);

 private:
  awaitable<void> look_at_all();
  [[nodiscard]] bool is_needed(const JobId& job, const Identity& identity) const;

  Parts parts_;
  Bell wake_;
  std::map<JobId, std::map<Identity, TimePoint>> unneeded_since_;
  bool stopping_ = false;
};

}  // namespace ebb
