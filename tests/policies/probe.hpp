// A capacity policy and the memory that is handed on from proposal to proposal.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "policies/registry.hpp"
#include "tests/support/builders.hpp"

namespace ebb::testing {

inline std::map<std::string, SignalSeen> in_flight(double second, double value) {
  std::map<std::string, SignalSeen> signals;
  signals["in_flight"].value = Sample<double>{value, at_second(second)};
  return signals;
}

inline std::map<std::string, SignalSeen> missing(double second) {
  std::map<std::string, SignalSeen> signals;
  signals["in_flight"].value = Missing{"source timed out", at_second(second)};
  return signals;
}

inline std::map<std::string, SignalSeen> at_least(double second, double value) {
  std::map<std::string, SignalSeen> signals = missing(second);
  signals["in_flight"].at_least = value;
  return signals;
}

struct Probe {
  std::shared_ptr<const CapacityPolicy> policy;
  PolicyMemory memory{};
  CapacityProposal last{};
  Duration tick{5'000};
  Duration reclaim{60'000};

  int need(double second, double load, int ready = 0) { return need_of(second, in_flight(second, load), ready); }
  int need_of(double second, const std::map<std::string, SignalSeen>& signals, int ready = 0) {
    last = policy->propose({.deployment = kChat,
                            .signals = signals,
                            .ready = Replicas{ready},
                            .min = Replicas{0},
                            .max = Replicas{100},
                            .reclaim = reclaim,
                            .memory = memory,
                            .now = at_second(second),
                            .tick = tick});
    memory = last.memory;
    EXPECT_LE(memory.numbers.size(), policy->memory_size()) << policy->name();
    for (const Step& step : last.why) EXPECT_EQ(to_sentence(step).find('{'), std::string::npos) << to_sentence(step);
    return last.need.count;
  }
  [[nodiscard]] bool said(const std::string& rule) const {
    for (const Step& step : last.why) {
      if (step.rule == rule) return true;
    }
    return false;
  }
};

/// A policy with in_flight at `target` per replica and further options by name.
inline std::shared_ptr<CapacityPolicy> policy_with(const std::string& name, std::map<std::string, double> numbers,
                                                   double target = 1) {
  std::shared_ptr<CapacityPolicy> policy = make_capacity(name);
  OptionWriter writer;
  writer.signals({{"in_flight", target}});
  for (const auto& [option, value] : numbers) writer.set(option, value);
  policy->options(writer);
  return policy;
}

}  // namespace ebb::testing
