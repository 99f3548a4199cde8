#include "policies/capacity/target_tracking.hpp"

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

constexpr int kMemoryVersion = 1;
constexpr double kMostReplicas = 1'000'000;  // a reading beyond that is nonsense, and must not overflow an int

Replicas ceiling(double exact) {
  // One part in a billion of slack, or 3 x 0.1 / 0.1 would need four replicas.
  return {static_cast<int>(std::min(std::ceil(std::max(exact, 0.0) - 1e-9), kMostReplicas))};
}

/// The memory is a falling staircase of (time in ms, need), oldest and largest first: its front is the maximum of the
/// window.
struct Stabilised {
  Replicas need;
  PolicyMemory memory;
};

Stabilised stabilise(const PolicyMemory& before, Replicas need, TimePoint now, Duration window) {
  const double now_ms = static_cast<double>(now.time_since_epoch().count());
  const double oldest = now_ms - static_cast<double>(window.count());
  Stabilised out{need, {kMemoryVersion, {}}};
  std::vector<double>& kept = out.memory.numbers;
  if (before.version == kMemoryVersion && before.numbers.size() % 2 == 0) {
    for (std::size_t i = 0; i < before.numbers.size(); i += 2) {
      // What lies in the future was written before the clock was set back, and says nothing.
      const bool inside = before.numbers[i] > oldest && before.numbers[i] <= now_ms;
      if (inside && before.numbers[i + 1] > need.count)
        kept.insert(kept.end(), {before.numbers[i], before.numbers[i + 1]});
    }
  }
  kept.insert(kept.end(), {now_ms, static_cast<double>(need.count)});
  out.need = {static_cast<int>(kept[1])};
  return out;
}

}  // namespace

void options(TargetTracking::SignalTarget& target, OptionVisitor& visitor) {
  visitor.value(
      {"signal", "Signal that is divided by the target, e.g. in_flight, kv_usage, tokens_per_s or a query's name."},
      target.signal);
  visitor.value({"target", "What one replica should carry of it, in the signal's unit."}, target.target, {1e-6, 1e12});
}

void TargetTracking::options(OptionVisitor& visitor) {
  visit_list(visitor, {"signals", "Signals with their target per replica; the one that needs most decides."}, signals_);
  visitor.value(
      {"tolerance", "The need stays at the ready replicas while the load per replica is this close to its target."},
      tolerance_, {0.0, 1.0});
  visitor.value({"stabilisation", "The need falls only after it was lower for this long."}, stabilisation_,
                {Duration{0}, Duration{86'400'000}});
}

std::vector<std::string> TargetTracking::needs() const {
  std::vector<std::string> names;
  for (const SignalTarget& target : signals_) names.push_back(target.signal);
  return names;
}

CapacityProposal TargetTracking::propose(const CapacityInput& input) const {
  CapacityProposal proposal;
  Replicas need{0};
  for (const SignalTarget& target : signals_) {
    const auto found = input.signals.find(target.signal);
    const Sample<double>* sample = found == input.signals.end() ? nullptr : found->second.value.sample();
    const bool partly = sample == nullptr && found != input.signals.end() && found->second.at_least;
    if (sample == nullptr) proposal.known = false;
    if (sample == nullptr && !partly) continue;

    const double value = sample != nullptr ? sample->value : *found->second.at_least;
    Replicas wanted = ceiling(value / target.target);
    Step step{Stage::need, sample != nullptr ? "need.target_tracking" : "need.at_least", input.deployment.value, {}};
    step.args = {
        {"signal", target.signal}, {"value", value}, {"target", target.target}, {"need", std::int64_t{wanted.count}}};
    proposal.why.push_back(std::move(step));

    const double ratio = input.ready.count > 0 ? value / (input.ready.count * target.target) : 0;
    if (sample != nullptr && input.ready.count > 0 && std::abs(ratio - 1) <= tolerance_ && wanted != input.ready) {
      proposal.why.push_back({Stage::need,
                              "need.within_tolerance",
                              input.deployment.value,
                              {{"need", std::int64_t{wanted.count}},
                               {"tolerance_percent", tolerance_ * 100},
                               {"kept", std::int64_t{input.ready.count}}}});
      wanted = input.ready;
    }
    need = std::max(need, wanted);
  }

  Stabilised stabilised = stabilise(input.memory, need, input.now, stabilisation_);
  if (stabilised.need > need) {
    proposal.why.push_back({Stage::need,
                            "need.stabilised",
                            input.deployment.value,
                            {{"need", std::int64_t{need.count}},
                             {"kept", std::int64_t{stabilised.need.count}},
                             {"window", stabilisation_}}});
  }
  proposal.need = stabilised.need;
  proposal.memory = std::move(stabilised.memory);
  return proposal;
}

}  // namespace ebb
