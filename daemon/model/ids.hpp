// Names with a type. Ordering is by text, which makes every map in a decision deterministic.
#pragma once

#include <compare>
#include <string>
#include <utility>

namespace ebb {

template <class Tag>
struct Id {
  std::string value;

  Id() = default;
  explicit Id(std::string text) : value(std::move(text)) {}
  [[nodiscard]] bool empty() const { return value.empty(); }
  friend auto operator<=>(const Id&, const Id&) = default;
};

using PoolId = Id<struct PoolTag>;
using FleetId = Id<struct FleetTag>;
using ServiceId = Id<struct ServiceTag>;
using JobId = Id<struct JobTag>;
using DeploymentId = Id<struct DeploymentTag>;  ///< "<service or job>@<pool>"
using ReplicaId = Id<struct ReplicaTag>;        ///< "<deployment>-<tick>-<n>" when Ebb started it
using ActionId = Id<struct ActionTag>;          ///< "<tick>/<deployment>/<kind>": same inputs, same id
using OverrideId = Id<struct OverrideTag>;

}  // namespace ebb
