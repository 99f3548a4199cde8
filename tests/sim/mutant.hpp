// The broken builds in one: which of them is run. Included by the generated copies of tests/sim/mutants.py only.
#pragma once

#include <span>
#include <string_view>

namespace ebb::sim {

/// The one that is chosen, counted from 1; 0: the unbroken build.
extern int chosen_mutant;
inline bool mutant(int number) { return chosen_mutant == number; }

struct MutantName {
  std::string_view name;
  std::string_view said;  ///< a part of what the judge says of it
};
/// By number from 1 on.
std::span<const MutantName> mutants();

}  // namespace ebb::sim
