#include "policies/capacity/load.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace ebb {
namespace {

constexpr double kMostReplicas = 1'000'000;  // a reading beyond that is nonsense, and must not overflow an int

Step step(const CapacityInput& input, const char* rule, std::vector<std::pair<std::string, Arg>> args) {
  return {Stage::need, rule, input.deployment.value, std::move(args)};
}

SignalLoad load_of_one(const CapacityInput& input, const SignalTarget& target, double value, bool whole,
                       double headroom) {
  const double plain = std::min(std::max(value, 0.0) / target.target, kMostReplicas);
  SignalLoad out{plain * (1 + headroom), whole, {}};
  out.why.push_back(step(input, whole ? "need.target_tracking" : "need.at_least",
                         {{"signal", target.signal},
                          {"value", value},
                          {"target", target.target},
                          {"need", std::int64_t{whole_replicas(plain).count}}}));
  if (headroom > 0) {
    out.why.push_back(step(input, "need.headroom",
                           {{"load", plain},
                            {"headroom_percent", headroom * 100},
                            {"need", std::int64_t{whole_replicas(out.replicas).count}}}));
  }
  return out;
}

}  // namespace

void options(SignalTarget& target, OptionVisitor& visitor) {
  visitor.value(
      {"signal", "Signal that is divided by the target, e.g. in_flight, kv_usage, tokens_per_s or a query's name."},
      target.signal);
  visitor.value({"target", "What one replica should carry of it, in the signal's unit."}, target.target, {1e-6, 1e12});
}

Load load_of(const CapacityInput& input, const std::vector<SignalTarget>& targets, double headroom) {
  Load out;
  for (const SignalTarget& target : targets) {
    const auto found = input.signals.find(target.signal);
    const Sample<double>* sample = found == input.signals.end() ? nullptr : found->second.value.sample();
    const bool partly = sample == nullptr && found != input.signals.end() && found->second.at_least;
    if (sample == nullptr) out.known = false;
    if (sample == nullptr && !partly) continue;
    if (sample != nullptr) out.taken_at = std::min(out.taken_at, sample->taken_at);
    const double value = sample != nullptr ? sample->value : *found->second.at_least;
    out.signals.push_back(load_of_one(input, target, value, sample != nullptr, headroom));
    out.replicas = std::max(out.replicas, out.signals.back().replicas);
  }
  return out;
}

Explanation steps_of(const Load& load) {
  Explanation out;
  for (const SignalLoad& signal : load.signals) out.insert(out.end(), signal.why.begin(), signal.why.end());
  return out;
}

Replicas whole_replicas(double exact) {
  // One part in a billion of slack, or 3 x 0.1 / 0.1 would need four replicas.
  return {static_cast<int>(std::min(std::ceil(std::max(exact, 0.0) - 1e-9), kMostReplicas))};
}

Replicas need_within_tolerance(const CapacityInput& input, const Load& load, double tolerance, Explanation& why) {
  Replicas need{0};
  for (const SignalLoad& signal : load.signals) {
    why.insert(why.end(), signal.why.begin(), signal.why.end());
    Replicas wanted = whole_replicas(signal.replicas);
    const double ratio = input.ready.count > 0 ? signal.replicas / input.ready.count : 0;
    if (signal.whole && input.ready.count > 0 && std::abs(ratio - 1) <= tolerance && wanted != input.ready) {
      why.push_back(step(input, "need.within_tolerance",
                         {{"need", std::int64_t{wanted.count}},
                          {"tolerance_percent", tolerance * 100},
                          {"kept", std::int64_t{input.ready.count}}}));
      wanted = input.ready;
    }
    need = std::max(need, wanted);
  }
  return need;
}

void signal_options(OptionVisitor& visitor, std::vector<SignalTarget>& targets) {
  visit_list(visitor, {"signals", "Signals with their target per replica; the one that needs most decides."}, targets);
}

void headroom_option(OptionVisitor& visitor, double& headroom) {
  visitor.value({"headroom", "The load is taken to be larger by this fraction: 0.2 keeps a fifth on top."}, headroom,
                {0.0, 10.0});
}

std::vector<std::string> names_of(const std::vector<SignalTarget>& targets) {
  std::vector<std::string> names;
  names.reserve(targets.size());
  for (const SignalTarget& target : targets) names.push_back(target.signal);
  return names;
}

std::vector<OptionProblem> missing_signals(bool none) {
  if (!none) return {};
  return {{"signals", "without a signal production would need nothing: name at least one"}};
}

double fingerprint(const std::vector<SignalTarget>& targets, std::string_view also) {
  std::string text(also);
  for (const SignalTarget& target : targets) {
    text += "\n" + target.signal + " " + std::to_string(std::bit_cast<std::uint64_t>(target.target));
  }
  // FNV-1a, 32 bits: exact in a double, and the same everywhere.
  std::uint32_t hash = 2'166'136'261;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619;
  return hash;
}

}  // namespace ebb
