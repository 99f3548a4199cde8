#include "policies/registry.hpp"

#include <array>

#include "policies/allocation/max_min.hpp"
#include "policies/capacity/fixed.hpp"
#include "policies/capacity/target_tracking.hpp"
#include "policies/victim/newest.hpp"

namespace ebb {
namespace {

template <class P>
struct Entry {
  std::string_view name;
  std::string_view help;
  std::unique_ptr<P> (*make)();
};

template <class P, class Made>
std::unique_ptr<P> make() {
  return std::make_unique<Made>();
}

// Sorted by name. A new policy is one line here.
constexpr std::array kCapacity{
    Entry<CapacityPolicy>{"fixed", "A constant number of replicas.", make<CapacityPolicy, FixedCapacity>},
    Entry<CapacityPolicy>{"target_tracking", "Signals divided by a target per replica, as the Kubernetes HPA does it.",
                          make<CapacityPolicy, TargetTracking>},
};
constexpr std::array kAllocation{
    Entry<AllocationPolicy>{"max_min", "Weighted max-min fair share with guarantees.", make<AllocationPolicy, MaxMin>},
};
constexpr std::array kVictim{
    Entry<VictimPolicy>{"newest", "The youngest replica leaves first.", make<VictimPolicy, NewestVictim>},
};

template <class Table>
constexpr auto names_of(const Table& table) {
  std::array<std::string_view, std::tuple_size_v<Table>> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = table[i].name;
  return names;
}
constexpr auto kCapacityNames = names_of(kCapacity);
constexpr auto kAllocationNames = names_of(kAllocation);
constexpr auto kVictimNames = names_of(kVictim);

template <class Table>
auto made(const Table& table, std::string_view name) -> decltype(table[0].make()) {
  for (const auto& entry : table) {
    if (entry.name == name) return entry.make();
  }
  return nullptr;
}

template <class Table>
std::string_view help_in(const Table& table, std::string_view name) {
  for (const auto& entry : table) {
    if (entry.name == name) return entry.help;
  }
  return {};
}

}  // namespace

std::span<const std::string_view> capacity_policies() { return kCapacityNames; }
std::span<const std::string_view> allocation_policies() { return kAllocationNames; }
std::span<const std::string_view> victim_policies() { return kVictimNames; }

std::string_view policy_help(std::string_view name) {
  for (const std::string_view help : {help_in(kCapacity, name), help_in(kAllocation, name), help_in(kVictim, name)}) {
    if (!help.empty()) return help;
  }
  return {};
}

std::unique_ptr<CapacityPolicy> make_capacity(std::string_view name) { return made(kCapacity, name); }
std::unique_ptr<AllocationPolicy> make_allocation(std::string_view name) { return made(kAllocation, name); }
std::unique_ptr<VictimPolicy> make_victim(std::string_view name) { return made(kVictim, name); }

}  // namespace ebb
