// Every policy there is, in one table.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "policies/policy.hpp"

namespace ebb {

/// The names, sorted, for messages and documentation.
std::span<const std::string_view> capacity_policies();
std::span<const std::string_view> allocation_policies();
std::span<const std::string_view> growth_policies();
std::span<const std::string_view> victim_policies();
std::span<const std::string_view> cadence_policies();

/// Capacity policies that may stand inside another: those that neither hold others nor ask an adviser.
std::span<const std::string_view> inner_capacity_policies();

/// One sentence of help for a name out of the lists above; empty for others.
std::string_view policy_help(std::string_view name);

/// With default options; null for an unknown name.
std::unique_ptr<CapacityPolicy> make_capacity(std::string_view name);
std::unique_ptr<AllocationPolicy> make_allocation(std::string_view name);
std::unique_ptr<GrowthPolicy> make_growth(std::string_view name);
std::unique_ptr<VictimPolicy> make_victim(std::string_view name);
std::unique_ptr<CadencePolicy> make_cadence(std::string_view name);

}  // namespace ebb
