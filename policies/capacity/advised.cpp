#include "policies/capacity/advised.hpp"

#include <algorithm>

#include "policies/capacity/load.hpp"
#include "policies/registry.hpp"

namespace ebb {
namespace {

struct Memory {
  double advised = 0;     ///< the last need that was advised
  double advised_ms = 0;  ///< and when; 0: never
  PolicyMemory fallback;
};

/// Empty when another policy left it, as it is for a fallback that was another one.
Memory unpacked(const PolicyMemory& packed, int version, std::size_t header) {
  const std::vector<double>& n = packed.numbers;
  if (packed.version != version || n.size() < header) return {};
  if (!(n[0] >= 0 && n[0] <= 1e9 && n[2] >= 0 && n[2] <= 1e9)) return {};
  return {n[0], n[1], {static_cast<int>(n[2]), {n.begin() + static_cast<std::ptrdiff_t>(header), n.end()}}};
}

PolicyMemory packed(const Memory& memory, int version) {
  PolicyMemory out{version, {memory.advised, memory.advised_ms, static_cast<double>(memory.fallback.version)}};
  const std::vector<double>& inner = memory.fallback.numbers;
  // `problems` refuses a configuration that could grow beyond this.
  if (out.numbers.size() + inner.size() <= kMostMemory)
    out.numbers.insert(out.numbers.end(), inner.begin(), inner.end());
  return out;
}

}  // namespace

Advised::Advised(int memory_version) : memory_version_(memory_version), fallback_(make_capacity("target_tracking")) {}

void Advised::shared_options(OptionVisitor& visitor) {
  visitor.value({"deadline", "Time for one answer; at most a quarter of observe_timeout."}, deadline_,
                {Duration{10}, Duration{60'000}});
  visitor.value({"hold", "After the last answer the need does not fall below it for so long; a new answer may."}, hold_,
                {Duration{0}, Duration{86'400'000}});
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
  Memory memory = unpacked(input.memory, memory_version_, kHeader);
  const CapacityInput inner{input.deployment, input.signals,   input.ready, input.min, input.max,
                            input.reclaim,    memory.fallback, input.now,   {}};
  CapacityProposal out = fallback_->propose(inner);
  memory.fallback = std::move(out.memory);
  const std::string& id = input.deployment.value;
  const std::string policy(name());
  const auto now_ms = static_cast<double>(input.now.time_since_epoch().count());
  if (const Sample<Advice>* said = input.advice.sample(); said != nullptr) {
    const Advice& advice = said->value;
    out.need = whole_replicas(advice.need);
    out.known = true;
    out.why = {{Stage::need,
                "need.advised",
                id,
                {{"policy", policy},
                 {"advised", advice.need},
                 {"note", advice.note.empty() ? "without a note" : advice.note},
                 {"need", std::int64_t{out.need.count}}}}};
    memory.advised = out.need.count;
    memory.advised_ms = now_ms;
  } else {
    out.why.insert(
        out.why.begin(),
        {Stage::need,
         "need.unadvised",
         id,
         {{"policy", policy}, {"why", input.advice.missing()->why}, {"fallback", std::string(fallback_->name())}}});
    // An answer from the future was given before the clock was set back, and says nothing.
    const double passed = now_ms - memory.advised_ms;
    const bool held = memory.advised_ms > 0 && passed >= 0 && passed < static_cast<double>(hold_.count());
    if (const Replicas last{static_cast<int>(memory.advised)}; held && last > out.need) {
      out.why.push_back(
          {Stage::need,
           "need.advice_held",
           id,
           {{"need", std::int64_t{out.need.count}}, {"kept", std::int64_t{last.count}}, {"window", hold_}}});
      out.need = last;
    }
  }
  out.memory = packed(memory, memory_version_);
  return out;
}

}  // namespace ebb
