// The lease of an RL replica, measured on the clock that counts from boot: no step of the wall clock can lengthen
// or end it. Times are milliseconds of CLOCK_BOOTTIME unless they say otherwise.
#pragma once

#include <optional>

#include "daemon/shim/files.hpp"

namespace ebb::shim {

class Lease {
 public:
  /// Granted for `ttl_ms` from `now_ms` on, by being started.
  Lease(long long ttl_ms, long long now_ms) : ttl_ms_(ttl_ms), looked_at_ms_(now_ms), ends_at_ms_(now_ms + ttl_ms) {}

  /// The lease file was looked at; `order` is what it says, `wall_ms` the wall clock's time. A text that has not
  /// changed renews nothing. One that has was written at some time since the last look, and is taken to be as old as
  /// that: with looks every half second a renewal loses at most half a second, and a shim that was stopped for an hour
  /// does not believe an order that may be an hour old. Never longer than the time to live from now.
  void look(const std::optional<Order>& order, long long now_ms, long long wall_ms);

  [[nodiscard]] bool lapsed(long long now_ms) const { return now_ms >= ends_at_ms_; }
  [[nodiscard]] long long ends_at_ms() const { return ends_at_ms_; }

 private:
  long long ttl_ms_;
  long long looked_at_ms_;
  long long ends_at_ms_;
  std::optional<Order> seen_;
};

}  // namespace ebb::shim
