// A full snapshot at a fixed distance.
#pragma once

#include <algorithm>

#include "policies/policy.hpp"

namespace ebb {

class EveryCadence final : public CadencePolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "every"; }
  void options(OptionVisitor& visitor) override {
    visitor.value({"snapshots", "One snapshot out of so many is full."}, snapshots_, {kFullEveryMin, kFullEveryMax});
  }
  [[nodiscard]] CadenceChoice choose(const CadenceInput& input) const override {
    return {std::min(snapshots_, input.full_every_max), "every"};
  }

 private:
  int snapshots_ = 25;
};

}  // namespace ebb
