// Weighted max-min fairness with whole replicas (progressive filling): whoever has the least GPUs per weight gets the
// next replica, until nobody wants more or nothing fits. Guarantees are filled the same way first.
// Source: Bertsekas and Gallager, Data Networks, 6.5.2.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class MaxMin final : public AllocationPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "max_min"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] std::vector<Replicas> share(Gpus slack, const std::vector<Claim>& claims) const override;
};

}  // namespace ebb
