#include "policies/capacity/threshold.hpp"

#include <algorithm>

#include "policies/capacity/falling_window.hpp"

namespace ebb {
namespace {

// Numbers: last poll, last time it was active, then the falling window of needs.
constexpr int kMemoryVersion = 3'001;
constexpr std::size_t kHeader = 2;

double ms(TimePoint at) { return static_cast<double>(at.time_since_epoch().count()); }
double ms(Duration span) { return static_cast<double>(span.count()); }

struct Memory {
  double polled_ms = 0;
  double active_ms = 0;
  std::vector<double> window;
};

Memory read(const PolicyMemory& memory, double now_ms) {
  const std::vector<double>& n = memory.numbers;
  // A service that is new to us may have been active until now.
  if (memory.version != kMemoryVersion || n.size() < kHeader) return {0, now_ms, {}};
  // What lies in the future was written before the clock was set back.
  return {n[0] > now_ms ? 0 : n[0], std::min(n[1], now_ms), {n.begin() + kHeader, n.end()}};
}

PolicyMemory written(Memory memory) {
  PolicyMemory out{kMemoryVersion, {memory.polled_ms, memory.active_ms}};
  out.numbers.insert(out.numbers.end(), memory.window.begin(), memory.window.end());
  return out;
}

}  // namespace

void options(Threshold::Trigger& trigger, OptionVisitor& visitor) {
  options(trigger.signal, visitor);
  visitor.value({"activation", "Above this the service is active, in the signal's unit."}, trigger.activation,
                {0.0, 1e12});
}

void Threshold::options(OptionVisitor& visitor) {
  constexpr Duration kSecond{1'000}, kDay{86'400'000};
  visit_list(visitor, {"signals", "Signals with their target per replica; the one that needs most decides."},
             triggers_);
  headroom_option(visitor, headroom_);
  visitor.value(
      {"tolerance", "The need stays at the ready replicas while the load per replica is this close to its target."},
      tolerance_, {0.0, 1.0});
  visitor.value({"stabilisation", "The need falls only after it was lower for this long."}, stabilisation_,
                {Duration{0}, kDay});
  visitor.value({"minimum", "Fewest replicas. 0: none while it is not active. From 1 on it is always active."},
                minimum_, {0, 100'000});
  visitor.value({"cooldown", "It counts as active for so long after the last signal above its activation."}, cooldown_,
                {Duration{0}, kDay});
  visitor.value({"polling_interval", "Time between two looks at whether it is active."}, polling_interval_,
                {kSecond, kDay});
}

std::size_t Threshold::memory_size() const { return kHeader + kMostWindowNumbers; }

std::vector<SignalTarget> Threshold::targets() const {
  std::vector<SignalTarget> out;
  for (const Trigger& trigger : triggers_) out.push_back(trigger.signal);
  return out;
}

bool Threshold::is_active(const CapacityInput& input) const {
  return std::any_of(triggers_.begin(), triggers_.end(), [&](const Trigger& trigger) {
    const auto found = input.signals.find(trigger.signal.signal);
    if (found == input.signals.end()) return false;
    const SignalSeen& seen = found->second;
    const double value = seen.value.known() ? seen.value.value() : seen.at_least.value_or(0);
    return value > trigger.activation;
  });
}

CapacityProposal Threshold::propose(const CapacityInput& input) const {
  CapacityProposal proposal;
  const double now_ms = ms(input.now);
  Memory memory = read(input.memory, now_ms);
  const Load load = load_of(input, targets(), headroom_);
  proposal.known = load.known;
  const Replicas wanted = need_within_tolerance(input, load, tolerance_, proposal.why);

  if (now_ms - memory.polled_ms >= ms(polling_interval_)) {
    memory.polled_ms = now_ms;
    if (is_active(input)) memory.active_ms = now_ms;
  }
  const double idle_ms = now_ms - memory.active_ms;
  if (minimum_ == Replicas{0} && load.known && idle_ms >= ms(cooldown_) && idle_ms > 0) {
    proposal.need = Replicas{0};
    memory.window.clear();
    proposal.why.push_back({Stage::need,
                            "need.inactive",
                            input.deployment.value,
                            {{"need", std::int64_t{0}}, {"span", Duration{static_cast<std::int64_t>(idle_ms)}}}});
  } else {
    const Replicas need = std::max(wanted, std::max(minimum_, Replicas{1}));
    FallingWindow window = falling_window(memory.window, need.count, input.now, stabilisation_);
    memory.window = std::move(window.kept);
    proposal.need = {static_cast<int>(window.largest)};
    const std::int64_t needs = wanted.count, kept = proposal.need.count;
    if (proposal.need > need) {
      proposal.why.push_back({Stage::need,
                              "need.stabilised",
                              input.deployment.value,
                              {{"need", needs}, {"kept", kept}, {"window", stabilisation_}}});
    } else if (proposal.need > wanted && minimum_ == Replicas{0}) {
      proposal.why.push_back({Stage::need,
                              "need.cooldown",
                              input.deployment.value,
                              {{"need", needs}, {"kept", kept}, {"window", cooldown_}}});
    } else if (proposal.need > wanted) {
      proposal.why.push_back({Stage::need, "need.minimum", input.deployment.value, {{"need", needs}, {"kept", kept}}});
    }
  }
  proposal.memory = written(std::move(memory));
  return proposal;
}

}  // namespace ebb
