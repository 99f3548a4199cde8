#include "policies/capacity/advised.hpp"

#include <algorithm>

#include "policies/capacity/load.hpp"
#include "policies/registry.hpp"

namespace ebb {
namespace {

/// What the fallback left behind; empty when it was another one.
PolicyMemory unpacked(const PolicyMemory& packed, int version) {
  if (packed.version != version || packed.numbers.empty()) return {};
  const double inner = packed.numbers.front();
  if (!(inner >= 0 && inner <= 1e9)) return {};
  return {static_cast<int>(inner), {packed.numbers.begin() + 1, packed.numbers.end()}};
}

PolicyMemory packed(const PolicyMemory& memory, int version) {
  PolicyMemory out{version, {static_cast<double>(memory.version)}};
  // `problems` refuses a configuration that could grow beyond this.
  if (memory.numbers.size() < kMostMemory) {
    out.numbers.insert(out.numbers.end(), memory.numbers.begin(), memory.numbers.end());
  }
  return out;
}

}  // namespace

Advised::Advised(int memory_version) : memory_version_(memory_version), fallback_(make_capacity("target_tracking")) {}

void Advised::shared_options(OptionVisitor& visitor) {
  visitor.value({"deadline", "Time for one answer; at most a quarter of observe_timeout."}, deadline_,
                {Duration{10}, Duration{60'000}});
  const auto names = inner_capacity_policies();
  const auto select = [&](const std::string& name) {
    const bool known = std::find(names.begin(), names.end(), name) != names.end();
    if (known) fallback_ = make_capacity(name);
    return known;
  };
  visitor.object({"fallback", "The policy that decides while there is no answer, a mapping as `capacity` itself."},
                 [&](OptionVisitor& inner) {
                   inner.selection(std::string(fallback_->name()), names, select,
                                   [&](OptionVisitor& v) { fallback_->options(v); });
                 });
}

std::vector<OptionProblem> Advised::problems() const {
  std::vector<OptionProblem> out = fallback_->problems();
  for (OptionProblem& problem : out) {
    problem.option.insert(0, "fallback.");
    for (std::string& option : problem.involved) option.insert(0, "fallback.");
  }
  if (memory_size() > kMostMemory) {
    out.push_back({"fallback", "its memory may grow to " + std::to_string(memory_size()) +
                                   " numbers with the adviser's, more than 8192: choose longer bins"});
  }
  return out;
}

CapacityProposal Advised::propose(const CapacityInput& input) const {
  const PolicyMemory memory = unpacked(input.memory, memory_version_);
  const CapacityInput inner{input.deployment, input.signals, input.ready, input.min, input.max,
                            input.reclaim,    memory,        input.now,   {}};
  CapacityProposal out = fallback_->propose(inner);
  out.memory = packed(out.memory, memory_version_);
  const std::string& id = input.deployment.value;
  const std::string policy(name());
  if (!input.advice.known()) {
    out.why.insert(
        out.why.begin(),
        {Stage::need,
         "need.unadvised",
         id,
         {{"policy", policy}, {"why", input.advice.missing()->why}, {"fallback", std::string(fallback_->name())}}});
    return out;
  }
  const Advice& advice = input.advice.value();
  out.need = whole_replicas(advice.need);
  out.known = true;
  out.why = {{Stage::need,
              "need.advised",
              id,
              {{"policy", policy},
               {"advised", advice.need},
               {"note", advice.note.empty() ? "without a note" : advice.note},
               {"need", std::int64_t{out.need.count}}}}};
  return out;
}

}  // namespace ebb
