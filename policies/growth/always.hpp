// Lends whatever the quiet window lets through.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class AlwaysGrow final : public GrowthPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "always"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] GrowthProposal propose(const GrowthInput& input) const override { return {input.slack, {}, {}}; }
};

}  // namespace ebb
