#include "policies/capacity/target_tracking.hpp"

#include "policies/capacity/falling_window.hpp"

namespace ebb {
namespace {

constexpr int kMemoryVersion = 1;  // numbers: the falling window of needs

}  // namespace

void TargetTracking::options(OptionVisitor& visitor) {
  signal_options(visitor, signals_);
  headroom_option(visitor, headroom_);
  visitor.value(
      {"tolerance", "The need stays at the ready replicas while the load per replica is this close to its target."},
      tolerance_, {0.0, 1.0});
  visitor.value({"stabilisation", "The need falls only after it was lower for this long."}, stabilisation_,
                {Duration{0}, Duration{86'400'000}});
}

std::size_t TargetTracking::memory_size() const { return kMostWindowNumbers; }

CapacityProposal TargetTracking::propose(const CapacityInput& input) const {
  CapacityProposal proposal;
  const Load load = load_of(input, signals_, headroom_);
  proposal.known = load.known;
  const Replicas need = need_within_tolerance(input, load, tolerance_, proposal.why);

  const std::vector<double> before =
      input.memory.version == kMemoryVersion ? input.memory.numbers : std::vector<double>{};
  FallingWindow window = falling_window(before, need.count, input.now, stabilisation_);
  proposal.need = {static_cast<int>(window.largest)};
  proposal.memory = {kMemoryVersion, std::move(window.kept)};
  if (proposal.need > need) {
    proposal.why.push_back({Stage::need,
                            "need.stabilised",
                            input.deployment.value,
                            {{"need", std::int64_t{need.count}},
                             {"kept", std::int64_t{proposal.need.count}},
                             {"window", stabilisation_}}});
  }
  return proposal;
}

}  // namespace ebb
