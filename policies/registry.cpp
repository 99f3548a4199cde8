#include "policies/registry.hpp"

#include <algorithm>
#include <array>

#include "policies/allocation/max_min.hpp"
#include "policies/allocation/priority.hpp"
#include "policies/cadence/adaptive.hpp"
#include "policies/cadence/always_full.hpp"
#include "policies/cadence/every.hpp"
#include "policies/capacity/conformal.hpp"
#include "policies/capacity/exec.hpp"
#include "policies/capacity/fixed.hpp"
#include "policies/capacity/max_of.hpp"
#include "policies/capacity/plugin.hpp"
#include "policies/capacity/predictive.hpp"
#include "policies/capacity/schedule.hpp"
#include "policies/capacity/seasonal.hpp"
#include "policies/capacity/surge.hpp"
#include "policies/capacity/target_tracking.hpp"
#include "policies/capacity/threshold.hpp"
#include "policies/growth/always.hpp"
#include "policies/growth/survival.hpp"
#include "policies/victim/cheapest_return.hpp"
#include "policies/victim/least_lost.hpp"
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
    Entry<CapacityPolicy>{"conformal", "Keeps what may be needed before RL is gone, at a miss rate that is held to.",
                          make<CapacityPolicy, Conformal>},
    Entry<CapacityPolicy>{"exec", "Asks a program of yours; another policy stands in while it does not answer.",
                          make<CapacityPolicy, ExecCapacity>},
    Entry<CapacityPolicy>{"fixed", "A constant number of replicas.", make<CapacityPolicy, FixedCapacity>},
    Entry<CapacityPolicy>{"max_of", "The largest need of several policies.", make<CapacityPolicy, MaxOf>},
    Entry<CapacityPolicy>{"plugin", "Asks a shared object of yours, loaded in a process of its own; as exec otherwise.",
                          make<CapacityPolicy, PluginCapacity>},
    Entry<CapacityPolicy>{"predictive", "Forecasts the next interval's load, as the Dynamo planner does.",
                          make<CapacityPolicy, Predictive>},
    Entry<CapacityPolicy>{"schedule", "Replicas by weekday and time of day, in a time zone.",
                          make<CapacityPolicy, Schedule>},
    Entry<CapacityPolicy>{"seasonal", "Learns the usual day or week and looks a little ahead.",
                          make<CapacityPolicy, Seasonal>},
    Entry<CapacityPolicy>{"surge", "Means over a long and a short window, as the Knative autoscaler has them.",
                          make<CapacityPolicy, Surge>},
    Entry<CapacityPolicy>{"target_tracking", "Signals divided by a target per replica, as the Kubernetes HPA does it.",
                          make<CapacityPolicy, TargetTracking>},
    Entry<CapacityPolicy>{"threshold", "On and off at a threshold, and above it as the HPA: what KEDA does.",
                          make<CapacityPolicy, Threshold>},
};
constexpr std::array kAllocation{
    Entry<AllocationPolicy>{"max_min", "Weighted max-min fair share with guarantees.", make<AllocationPolicy, MaxMin>},
    Entry<AllocationPolicy>{"priority", "Higher priority first, equals as max_min shares.",
                            make<AllocationPolicy, PriorityAllocation>},
};
constexpr std::array kGrowth{
    Entry<GrowthPolicy>{"always", "Whatever has been quiet for the quiet window is lent.",
                        make<GrowthPolicy, AlwaysGrow>},
    Entry<GrowthPolicy>{"survival", "Slack is lent that is expected to outlive a start and a drain.",
                        make<GrowthPolicy, Survival>},
};
constexpr std::array kVictim{
    Entry<VictimPolicy>{"cheapest_return", "Whoever is cheapest to bring back leaves first.",
                        make<VictimPolicy, CheapestReturnVictim>},
    Entry<VictimPolicy>{"least_lost", "Whoever works on the fewest rollouts leaves first.",
                        make<VictimPolicy, LeastLostVictim>},
    Entry<VictimPolicy>{"newest", "The youngest replica leaves first.", make<VictimPolicy, NewestVictim>},
};

constexpr std::array kCadence{
    Entry<CadencePolicy>{"adaptive", "Full where transfer and catch-up together take the least time.",
                         make<CadencePolicy, AdaptiveCadence>},
    Entry<CadencePolicy>{"always_full", "Every snapshot is full.", make<CadencePolicy, AlwaysFullCadence>},
    Entry<CadencePolicy>{"every", "One snapshot out of so many is full.", make<CadencePolicy, EveryCadence>},
};

template <class Table>
constexpr auto names_of(const Table& table) {
  std::array<std::string_view, std::tuple_size_v<Table>> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = table[i].name;
  return names;
}
constexpr auto kCapacityNames = names_of(kCapacity);
constexpr bool stands_alone(std::string_view name) { return name == "max_of" || name == "exec" || name == "plugin"; }
constexpr auto inner_names() {
  std::array<std::string_view, kCapacityNames.size() - 3> names{};
  std::copy_if(kCapacityNames.begin(), kCapacityNames.end(), names.begin(),
               [](std::string_view name) { return !stands_alone(name); });
  return names;
}
constexpr auto kInnerCapacityNames = inner_names();
constexpr auto kAllocationNames = names_of(kAllocation);
constexpr auto kGrowthNames = names_of(kGrowth);
constexpr auto kVictimNames = names_of(kVictim);
constexpr auto kCadenceNames = names_of(kCadence);

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
std::span<const std::string_view> inner_capacity_policies() { return kInnerCapacityNames; }
std::span<const std::string_view> allocation_policies() { return kAllocationNames; }
std::span<const std::string_view> growth_policies() { return kGrowthNames; }
std::span<const std::string_view> victim_policies() { return kVictimNames; }
std::span<const std::string_view> cadence_policies() { return kCadenceNames; }

std::string_view policy_help(std::string_view name) {
  for (const std::string_view help : {help_in(kCapacity, name), help_in(kAllocation, name), help_in(kGrowth, name),
                                      help_in(kVictim, name), help_in(kCadence, name)}) {
    if (!help.empty()) return help;
  }
  return {};
}

std::unique_ptr<CapacityPolicy> make_capacity(std::string_view name) { return made(kCapacity, name); }
std::unique_ptr<AllocationPolicy> make_allocation(std::string_view name) { return made(kAllocation, name); }
std::unique_ptr<GrowthPolicy> make_growth(std::string_view name) { return made(kGrowth, name); }
std::unique_ptr<VictimPolicy> make_victim(std::string_view name) { return made(kVictim, name); }
std::unique_ptr<CadencePolicy> make_cadence(std::string_view name) { return made(kCadence, name); }

}  // namespace ebb
