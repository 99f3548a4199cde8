#include "tests/sim/mutant.hpp"

namespace ebb::sim {
namespace {

constexpr MutantName kNames[] = {
#include "tests/sim/mutants.inc"
};

}  // namespace

int chosen_mutant = 0;
std::span<const MutantName> mutants() { return kNames; }

}  // namespace ebb::sim
