// Every snapshot is full: for adapters, for fleets that apply no increments, and for networks that outrun them.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class AlwaysFullCadence final : public CadencePolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "always_full"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] CadenceChoice choose(const CadenceInput&) const override { return {1, "always_full"}; }
};

}  // namespace ebb
