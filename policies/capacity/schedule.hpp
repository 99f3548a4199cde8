// Replicas by the clock on the wall, for services whose traffic somebody knows:
//
//   need = the largest `replicas` of the windows that are open now; `otherwise` where none is
//
// A window opens on its days at `from` and closes at `to`; one that closes earlier than it opens runs past midnight and
// belongs to the day on which it opened. Times are local: where clocks are set forward from 02:00 to 03:00, a window
// from 02:30 opens at 03:00; where they are set back, it opens twice.
// Source: the cron scaler of KEDA and the schedules of AIBrix, which refuse overlaps; here the largest wins, as in
// Karpenter's budgets the strictest does.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class Schedule final : public CapacityPolicy {
 public:
  struct Window {
    std::vector<std::string> days{"mon-sun"};  ///< "mon" or "mon-fri"
    std::string from = "00:00", to = "24:00";
    Replicas replicas{1};
  };

  Schedule() = default;
  Schedule(std::vector<Window> windows, TimeZone zone, Replicas otherwise)
      : windows_(std::move(windows)), zone_(std::move(zone)), otherwise_(otherwise) {}

  [[nodiscard]] std::string_view name() const override { return "schedule"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override;
  [[nodiscard]] std::vector<std::string> needs() const override { return {}; }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;

 private:
  std::vector<Window> windows_;
  TimeZone zone_;
  Replicas otherwise_{1};
};

void options(Schedule::Window& window, OptionVisitor& visitor);

}  // namespace ebb
