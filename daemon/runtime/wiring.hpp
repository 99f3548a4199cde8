// The adapters a configuration asks for, by name. Made by adapters/factory, used by the observer and the actuator.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/ids.hpp"
#include "daemon/ports/advisor.hpp"
#include "daemon/ports/fleet.hpp"
#include "daemon/ports/hotload.hpp"
#include "daemon/ports/metric_source.hpp"
#include "daemon/ports/snapshot_store.hpp"
#include "daemon/ports/snapshot_verifier.hpp"

namespace ebb {

/// Where a job's demand is read.
class DemandSource {
 public:
  virtual ~DemandSource() = default;
  /// Replicas the job can use. Never throws; returns before `deadline`.
  virtual awaitable<Reading<double>> read(TimePoint deadline) = 0;
};

/// The adapters of the jobs that have snapshots.
struct SnapshotWiring {
  std::map<DeploymentId, std::shared_ptr<Hotload>> hotloads;
  std::map<JobId, std::shared_ptr<SnapshotStore>> stores;        ///< none: nothing is looked at or deleted
  std::map<JobId, std::shared_ptr<SnapshotVerifier>> verifiers;  ///< none: the trainer's word is all there is
};

/// What a hot-load adapter was made from: a reload keeps the adapter while it is the same.
struct HotloadSetting {
  HotloadConfig config;
  std::string store;
  bool adapter = false;
  LoadTransitionMode transition = LoadTransitionMode::async;
  friend bool operator==(const HotloadSetting&, const HotloadSetting&) = default;
};

/// What a job's store was made from; as above.
struct StoreSetting {
  std::string store;
  S3Config s3;
  bool adapter = false;
  friend bool operator==(const StoreSetting&, const StoreSetting&) = default;
};

/// Owns the adapters. A reload makes a new one; fleets keep what they know of their replicas on disk.
struct Wiring {
  std::map<FleetId, std::shared_ptr<Fleet>> fleets;
  std::map<DeploymentId, std::vector<std::shared_ptr<MetricSource>>> sources;
  std::map<JobId, std::shared_ptr<DemandSource>> demand;
  std::map<DeploymentId, std::shared_ptr<LoadSource>> loads;  ///< of jobs whose victim policy looks at them
  std::map<DeploymentId, std::shared_ptr<Advisor>> advisors;  ///< deployments of one service share theirs
  SnapshotWiring snapshots;
  std::map<DeploymentId, HotloadSetting> hotload_settings;  ///< of `snapshots.hotloads`
  std::map<JobId, StoreSetting> store_settings;             ///< of `snapshots.stores`
};

}  // namespace ebb
