#pragma once

#include <boost/asio/awaitable.hpp>
#include <vector>

#include "daemon/model/observation.hpp"
#include "daemon/model/plan.hpp"
#include "daemon/model/record.hpp"
#include "daemon/model/result.hpp"

namespace ebb {

using boost::asio::awaitable;

/// The system that runs replicas. Control thread; calls may overlap.
class Fleet {
 public:
  virtual ~Fleet() = default;

  /// Every replica it knows, also those of an earlier run of the daemon, sorted by id. An error means that nothing
  /// is known: the caller holds its last count.
  virtual awaitable<Result<FleetSeen>> view() = 0;

  /// Takes one action on, idempotent by replica id: starting one that exists and draining one that is gone are
  /// successes. Success means accepted, not done. `exhausted`: no free slot now, nothing was started of those
  /// named in `not_started`. Errors with `retryable` may be tried again as they are.
  struct Applied {
    std::vector<ReplicaId> not_started;
    std::string detail;
  };
  virtual awaitable<Result<Applied>> apply(Action action) = 0;

  /// Extends the time to live of the leases: a replica not named here for its lease_ttl drains itself (I11).
  virtual awaitable<Status> renew(std::vector<ReplicaId> replicas, TimePoint now) = 0;

  /// The caller has recorded that these are gone; their records may be removed.
  virtual awaitable<Status> forget(std::vector<ReplicaId> replicas) = 0;
};

}  // namespace ebb
