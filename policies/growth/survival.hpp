// Lends slack that is expected to outlive the start and the drain of a replica on it.
//
// Each GPU of slack is a level: level k is free while at least k GPUs are. When the slack falls below levels that
// became free together, an idle interval ends, and its length goes into a histogram of logarithmic bins that the pool's
// levels share and that fades with `half_life`. Levels that have been free for a are lent when
//
//     P(L > a + cost | L > a)  =  (E(a + cost) + U + 1) / (E(a) + U + 1)  >=  confidence,
//
// E(x): the weight of ended intervals longer than x. U: intervals under way that are older than a + cost; younger ones
// have not shown yet whether they last, and count in neither. cost: what a replica needs before it is of use and after,
// its start-up as the pool's replicas showed it plus the longest drain. Idle intervals are heavy-tailed: what has been
// free for long stays free for long, so young slack waits and old slack does not. With nothing learnt the ratio is 1,
// and everything is lent.
//
// Source: the reduced-sample estimate of a survival function; Kaplan and Meier 1958, section 3.1.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class Survival final : public GrowthPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "survival"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] GrowthProposal propose(const GrowthInput& input) const override;

 private:
  double confidence_ = 0.85;
  Duration half_life_{3LL * 86'400'000};
};

}  // namespace ebb
