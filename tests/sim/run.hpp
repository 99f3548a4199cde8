// One simulated life of the daemon, from one seed: days of faults and crashes, judged after every tick, then a world
// that is healed, in which it must come to rest.
#pragma once

#include <cstdint>
#include <string>

namespace ebb::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  int days = 10;
};

struct RunReport {
  std::string violation;  ///< empty: none
  std::string story;      ///< of the decision that was found at fault, for people
  std::string at;         ///< simulated time of the violation
  std::uint64_t decisions = 0;
  int crashes = 0;
};

/// The same report for the same options, whatever the machine.
RunReport run(const RunOptions& options);

}  // namespace ebb::sim
