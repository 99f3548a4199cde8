// Whoever works on the fewest rollouts leaves first, as a source of the job's deployments tells. Of those whose
// rollouts nobody counts, one that does not serve or fails its health checks is taken to work on none, another on the
// most. Between equals the youngest leaves, and of twins the later name.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class LeastLostVictim final : public VictimPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "least_lost"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] bool looks_at_load() const override { return true; }
  [[nodiscard]] std::vector<Candidate> order(std::vector<Candidate> candidates) const override;
};

}  // namespace ebb
