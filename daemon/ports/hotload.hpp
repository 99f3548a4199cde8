#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {

using boost::asio::awaitable;

/// Where a replica of a self-hosted deployment listens. Vendors know their own.
struct EngineAddress {
  ReplicaId replica;
  std::string url;
  friend bool operator==(const EngineAddress&, const EngineAddress&) = default;
};

/// How one deployment takes new weights. Control thread; every call returns before `deadline`, and calls of one
/// deployment do not overlap but for `look`.
class Hotload {
 public:
  virtual ~Hotload() = default;
  [[nodiscard]] virtual HotloadCapabilities capabilities() const = 0;

  /// What its replicas have. A replica whose hot-load manager does not answer yet is not listed: a signal now could
  /// crash it. An error means that nothing is known.
  virtual awaitable<Result<HotloadSeen>> look(std::vector<EngineAddress> engines, TimePoint deadline) = 0;

  /// Only with `capabilities().pauses`. Brings the order's files to where its engines can load them, while they go on
  /// generating: before the pause, so that no engine stands still for a download. Success: all of it is there. Safe to
  /// repeat; goes on where an earlier one broke off. Errors as of `signal`.
  virtual awaitable<Status> stage(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) = 0;

  /// Gives the order. Success: it was taken, which is long before it is done. Errors `invalid`, `denied`, `not_found`
  /// and `conflict`: it was not, and never will be. `unreachable`, `throttled`: it was not, and may be later. All else,
  /// `timeout` above all: nobody knows. The order's id is an idempotency handle where the other side has one.
  virtual awaitable<Status> signal(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) = 0;

  /// Only with `capabilities().pauses`. Success of a pause: every one of them has stopped between two steps. What
  /// becomes of running generations is said by the order's transition and reset: they are held, or have ended. Errors
  /// as of `signal`; whoever was stopped by then is resumed by the caller. Resuming what runs is a success.
  virtual awaitable<Status> pause(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) = 0;
  virtual awaitable<Status> resume(std::vector<EngineAddress> engines, TimePoint deadline) = 0;

  /// `hear` is called, on the control thread, whenever a load has ended as far as the adapter itself can tell, so that
  /// nobody has to wait for the next look. An adapter that cannot tell never calls it.
  virtual void on_load_end(std::function<void()> hear) { (void)hear; }

  /// The other side forgets the chain, where it keeps one. What is gone is a success.
  virtual awaitable<Status> reset(TimePoint deadline) = 0;
};

}  // namespace ebb
