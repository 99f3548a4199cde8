#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {

using boost::asio::awaitable;

/// What the coordinator shows of a job: immutable, replaced as a whole.
struct WeightsView {
  std::shared_ptr<const JobWeights> weights;
  std::map<DeploymentId, HotloadCapabilities> fleets;
  std::string no_incremental_why;  ///< empty: the job's fleets take incremental snapshots
};

/// What a trainer may ask of the daemon. Control thread. Errors: `not_found` for a job that is not configured or has
/// no snapshots, those of core/chain.hpp, and `exhausted` or `internal` for what could not be recorded.
class Snapshots {
 public:
  virtual ~Snapshots() = default;

  virtual awaitable<Result<SnapshotPlan>> plan(JobId job, std::string run, std::optional<std::int64_t> step) = 0;

  struct Published {
    Snapshot snapshot;
    bool repeated = false;  ///< the same words as before: nothing was done
  };
  /// Recorded before it returns; loaded afterwards.
  virtual awaitable<Result<Published>> publish(JobId job, Publication said) = 0;

  /// The snapshot as it is once it has ended, or at `until`. `not_found`: it was never published.
  virtual awaitable<Result<Snapshot>> ended(JobId job, Identity identity, TimePoint until) = 0;

  /// Forgets the chain; the next snapshot must be full.
  virtual awaitable<Status> reset(JobId job, std::string by) = 0;

  [[nodiscard]] virtual Result<WeightsView> weights(const JobId& job) const = 0;
};

}  // namespace ebb
