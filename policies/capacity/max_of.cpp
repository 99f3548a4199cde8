#include "policies/capacity/max_of.hpp"

#include <algorithm>

#include "policies/registry.hpp"

namespace ebb {
namespace {

constexpr int kMemoryVersion = 6'001;
constexpr std::size_t kHeader = 2;  // of each inner memory

/// `count` memories; those that are not there, or do not fit, are empty.
std::vector<PolicyMemory> unpacked(const PolicyMemory& packed, std::size_t count) {
  std::vector<PolicyMemory> out(count);
  if (packed.version != kMemoryVersion) return out;
  const std::vector<double>& n = packed.numbers;
  std::size_t at = 0;
  for (PolicyMemory& memory : out) {
    if (n.size() - at < kHeader) break;
    const double size = n[at + 1];
    if (size < 0 || size > static_cast<double>(n.size() - at - kHeader)) break;
    const auto first = n.begin() + static_cast<std::ptrdiff_t>(at + kHeader);
    memory = {static_cast<int>(n[at]), {first, first + static_cast<std::ptrdiff_t>(size)}};
    at += kHeader + memory.numbers.size();
  }
  return out;
}

void pack(PolicyMemory& packed, const PolicyMemory& memory) {
  // `problems` refuses a configuration that could grow beyond this; a state may still come from another one.
  const bool fits = packed.numbers.size() + kHeader + memory.numbers.size() <= kMostMemory;
  const std::size_t count = fits ? memory.numbers.size() : 0;
  packed.numbers.insert(packed.numbers.end(), {static_cast<double>(memory.version), static_cast<double>(count)});
  if (fits) packed.numbers.insert(packed.numbers.end(), memory.numbers.begin(), memory.numbers.end());
}

}  // namespace

void MaxOf::options(OptionVisitor& visitor) {
  static constexpr const char* kOtherwise = "target_tracking";
  const auto names = inner_capacity_policies();
  const auto resize = [&](std::size_t count) {
    policies_.resize(count);
    for (auto& policy : policies_) {
      if (policy == nullptr) policy = make_capacity(kOtherwise);
    }
  };
  const auto element = [&](std::size_t i, OptionVisitor& inner) {
    std::shared_ptr<CapacityPolicy>& policy = policies_[i];
    const auto select = [&](const std::string& name) {
      const bool known = std::find(names.begin(), names.end(), name) != names.end();
      if (known) policy = make_capacity(name);
      return known;
    };
    inner.selection(std::string(policy->name()), names, select, [&](OptionVisitor& v) { policy->options(v); });
  };
  visitor.list({"policies", "The policies whose largest need counts, each a mapping as `capacity` itself."},
               policies_.size(), resize, element);
}

std::vector<OptionProblem> MaxOf::problems() const {
  std::vector<OptionProblem> out;
  if (policies_.empty()) out.push_back({"policies", "name at least one policy"});
  if (policies_.size() > kMostMemory / kHeader || memory_size() > kMostMemory) {
    out.push_back({"policies", "their memories together may grow to " + std::to_string(memory_size()) +
                                   " numbers, more than 8192: choose longer bins or fewer policies"});
  }
  for (std::size_t i = 0; i < policies_.size(); ++i) {
    std::string place = "policies[";
    place.append(std::to_string(i)).append("].");
    for (OptionProblem& problem : policies_[i]->problems()) {
      problem.option.insert(0, place);
      for (std::string& option : problem.involved) option.insert(0, place);
      out.push_back(std::move(problem));
    }
  }
  return out;
}

std::vector<std::string> MaxOf::needs() const {
  std::vector<std::string> out;
  for (const auto& policy : policies_) {
    for (const std::string& signal : policy->needs()) {
      if (std::find(out.begin(), out.end(), signal) == out.end()) out.push_back(signal);
    }
  }
  return out;
}

Duration MaxOf::window() const {
  Duration longest{0};
  for (const auto& policy : policies_) longest = std::max(longest, policy->window());
  return longest;
}

std::size_t MaxOf::memory_size() const {
  std::size_t sum = 0;
  for (const auto& policy : policies_) sum += kHeader + policy->memory_size();
  return sum;
}

CapacityProposal MaxOf::propose(const CapacityInput& input) const {
  CapacityProposal out;
  out.memory.version = kMemoryVersion;
  // A configuration without policies is refused; were there one, it would know nothing.
  out.known = !policies_.empty();
  const std::vector<PolicyMemory> memories = unpacked(input.memory, policies_.size());
  std::string_view decisive = "none";
  for (std::size_t i = 0; i < policies_.size(); ++i) {
    const CapacityInput inner{input.deployment, input.signals, input.ready, input.min,
                              input.max,        input.reclaim, memories[i], input.now};
    const CapacityProposal proposal = policies_[i]->propose(inner);
    if (i == 0 || proposal.need > out.need) {
      out.need = proposal.need;
      decisive = policies_[i]->name();
    }
    out.known = out.known && proposal.known;
    out.why.insert(out.why.end(), proposal.why.begin(), proposal.why.end());
    pack(out.memory, proposal.memory);
  }
  out.why.push_back({Stage::need,
                     "need.max_of",
                     input.deployment.value,
                     {{"need", std::int64_t{out.need.count}},
                      {"count", static_cast<std::int64_t>(policies_.size())},
                      {"policy", std::string(decisive)}}});
  return out;
}

}  // namespace ebb
