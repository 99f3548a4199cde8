#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "daemon/model/observation.hpp"
#include "daemon/model/time.hpp"

namespace ebb {

using boost::asio::awaitable;

/// A replica that ought to report.
struct Target {
  std::string name;  ///< replica id, or the URL where the target is configured by hand
  std::string url;   ///< base URL, without the metrics path
};

/// What production looks like, from one source of one deployment. Keeps what it must between samples (counter
/// baselines, when a gauge last moved). One call at a time per source; control thread.
class MetricSource {
 public:
  virtual ~MetricSource() = default;
  /// Never throws for a remote failure: what could not be read is Missing with its reason. Returns before `deadline`.
  /// `targets`: the replicas of the deployment that are ready; ignored by sources with targets of their own.
  virtual awaitable<WorkloadSeen> sample(std::vector<Target> targets, TimePoint deadline) = 0;
};

/// What each replica of one job's deployment works on. One call at a time per source; control thread.
class LoadSource {
 public:
  virtual ~LoadSource() = default;
  /// Never throws for a remote failure. Known if at least one of `targets` said so; holds those that did. Returns
  /// before `deadline`.
  virtual awaitable<Reading<ReplicaLoads>> loads(std::vector<Target> targets, TimePoint deadline) = 0;
};

}  // namespace ebb
