#include "policies/cadence/adaptive.hpp"

#include <algorithm>
#include <cmath>

namespace ebb {

CadenceChoice AdaptiveCadence::choose(const CadenceInput& input) const {
  const WeightsMeasures& seen = input.measures;
  const bool timed = seen.full_load_s > 0 && seen.incremental_load_s > 0;
  const bool sized = seen.full_bytes > 0 && seen.incremental_bytes > 0;
  const int most = std::min(kFullEveryMax, input.full_every_max);
  const int least = std::min(kFullEveryMin, most);
  if (!timed && !sized) return {std::clamp(unmeasured_, least, most), "adaptive: nothing measured yet"};
  // Only the ratio counts, so sizes stand in for times that nobody has measured.
  const double full = timed ? seen.full_load_s : seen.full_bytes;
  const double incremental = timed ? seen.incremental_load_s : seen.incremental_bytes;
  const double ratio = 2 * (full - incremental) / incremental;
  const std::string basis = timed ? "load times" : "sizes";
  if (ratio <= 0) return {least, "adaptive: by " + basis + ", incremental snapshots save nothing"};
  if (seen.joins_per_snapshot <= 0) return {most, "adaptive: by " + basis + ", nobody joins"};
  const double best = std::sqrt(ratio / seen.joins_per_snapshot);
  const int chosen =
      static_cast<int>(std::lround(std::clamp(best, static_cast<double>(least), static_cast<double>(most))));
  return {chosen, "adaptive: by " + basis + " and joins"};
}

}  // namespace ebb
