#include "daemon/core/stamps.hpp"

#include <algorithm>

namespace ebb {

bool moved_back(const std::vector<TimePoint*>& made, const std::vector<TimePoint*>& due, TimePoint now) {
  TimePoint newest{};
  for (const TimePoint* at : made) newest = std::max(newest, *at);
  const Duration ahead = newest - now;
  if (ahead <= Duration{0}) return false;
  for (const std::vector<TimePoint*>* all : {&made, &due}) {
    for (TimePoint* at : *all) *at = *at == TimePoint{} ? *at : *at - ahead;
  }
  return true;
}

}  // namespace ebb
