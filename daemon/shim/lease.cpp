#include "daemon/shim/lease.hpp"

#include <algorithm>

namespace ebb::shim {

void Lease::look(const std::optional<Order>& order, long long now_ms, long long wall_ms) {
  const long long age = now_ms - looked_at_ms_;
  looked_at_ms_ = now_ms;
  if (!order || order == seen_) return;
  seen_ = order;
  // The difference of two times of the writer's clock is a duration, whatever that clock says now.
  const long long left = order->written_ms ? order->at_ms - *order->written_ms - age : order->at_ms - wall_ms;
  ends_at_ms_ = now_ms + std::clamp(left, 0LL, ttl_ms_);
}

}  // namespace ebb::shim
