// A restart under a wall clock that went back.
#pragma once

#include <vector>

#include "daemon/model/time.hpp"

namespace ebb {

/// Where the newest of the stamps that were `made` lies ahead of `now`, the clock went back since: they, and what is
/// `due`, move back with it. What was never stamped stays so. Whether it went back.
bool moved_back(const std::vector<TimePoint*>& made, const std::vector<TimePoint*>& due, TimePoint now);

}  // namespace ebb
