#pragma once

#include <boost/asio/awaitable.hpp>

#include "daemon/model/time.hpp"

namespace ebb {

using boost::asio::awaitable;

/// Time, injected. Wall time that never goes back: anchored when made, advanced by the monotonic clock.
/// Used on the control thread only.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  /// Resumes at or after `at`; at once (but not before a pass through the executor) when that is past.
  /// Throws boost::system::system_error(operation_aborted) when cancelled.
  virtual awaitable<void> sleep_until(TimePoint at) = 0;
};

}  // namespace ebb
