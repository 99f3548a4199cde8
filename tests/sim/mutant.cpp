#include "tests/sim/mutant.hpp"

namespace ebb::sim {
namespace {

constexpr std::string_view kNames[] = {
#include "tests/sim/mutants.inc"
};

}  // namespace

int chosen_mutant = 0;
std::span<const std::string_view> mutant_names() { return kNames; }

}  // namespace ebb::sim
