// The distance between full snapshots at which transfer and catch-up together take the least time.
//
// With a full load of F seconds, an incremental one of I, and j newcomers per snapshot, a cycle of N costs per snapshot
//
//   (F + (N - 1) I) / N        loading what is published
//   j (F + I (N - 1) / 2)      newcomers load the full one and, on average, half of what is on top of it
//
// The first falls with N, the second climbs; the sum is least at N = sqrt(2 (F - I) / (j I)).
// Worked: F = 90 s, I = 4 s, a newcomer every 18 snapshots (j = 0.056): N = sqrt(172 / 0.222) = 27.8, hence 28.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class AdaptiveCadence final : public CadencePolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "adaptive"; }
  void options(OptionVisitor& visitor) override {
    visitor.value({"unmeasured", "One snapshot out of so many is full while nothing was measured yet."}, unmeasured_,
                  {kFullEveryMin, kFullEveryMax});
  }
  [[nodiscard]] CadenceChoice choose(const CadenceInput& input) const override;

 private:
  int unmeasured_ = 25;
};

}  // namespace ebb
