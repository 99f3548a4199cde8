// When production's users come: a Poisson process whose rate follows the day.
#pragma once

#include <cstdint>
#include <optional>

#include "tests/emulators/load/stats.hpp"
#include "tests/emulators/load/trace.hpp"

namespace ebb::emulator {

struct ArrivalConfig {
  double peak_rps = 10;
  double day_s = 180;    ///< the whole day takes so long
  double lead_in_s = 0;  ///< before the day begins: its first rate, at negative times
  std::uint64_t seed = 1;
};

/// Same seed, same arrivals. Open loop: nobody waits for an answer before the next one comes.
class Arrivals {
 public:
  Arrivals(Day day, ArrivalConfig config);
  /// Seconds since the day began (negative in the lead-in), ascending; nothing when the day is over.
  std::optional<double> next();
  /// Requests/s expected at that time.
  [[nodiscard]] double rate(double at) const;

 private:
  Day day_;
  ArrivalConfig config_;
  Random random_;
  double now_;
};

}  // namespace ebb::emulator
