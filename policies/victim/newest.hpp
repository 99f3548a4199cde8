// The youngest leaves first: what is still starting has nothing to lose, and old replicas have warm caches.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class NewestVictim final : public VictimPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "newest"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] std::vector<Candidate> order(std::vector<Candidate> candidates) const override;
};

}  // namespace ebb
