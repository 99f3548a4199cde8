// Whoever is cheapest to bring back leaves first: what does not serve yet, the youngest of it, for it has the least of
// its start behind it; then the serving ones in the order of what their start cost, from its decision to serving. Of
// two starts as long as each other the younger replica leaves, for its caches are colder; of twins the later name.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class CheapestReturnVictim final : public VictimPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "cheapest_return"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] std::vector<Candidate> order(std::vector<Candidate> candidates) const override;
};

}  // namespace ebb
