// What a back-test is told about the world.
#include <set>

#include "config/text.hpp"
#include "config/validate.hpp"

namespace ebb {

void check_backtest(const Config& config, Report& report) {
  const BacktestConfig& model = config.backtest;
  if (model.rollout_p95_s < model.rollout_median_s &&
      report.sound({"backtest.rollout_p95_s", "backtest.rollout_median_s"})) {
    report.add("backtest.rollout_p95_s", "rollout_p95_s must be at least rollout_median_s, got " +
                                             shown(model.rollout_p95_s) + " with " + shown(model.rollout_median_s));
  }
  if (model.owner_window < model.owner_sync && report.sound({"backtest.owner_window", "backtest.owner_sync"})) {
    report.add("backtest.owner_window", "owner_window must be at least owner_sync, got " + to_text(model.owner_window) +
                                            " with " + to_text(model.owner_sync));
  }
  std::set<std::string> names, signals{"load"};
  for (std::size_t i = 0; i < model.signals.size(); ++i) {
    const std::string path = at("backtest.signals", i) + ".signal";
    if (report.sound({path}) && !signals.insert(model.signals[i].signal).second) {
      report.add(path, in_quotes(model.signals[i].signal) + " is there already");
    }
  }
  for (std::size_t i = 0; i < model.policies.size(); ++i) {
    const BacktestPolicy& policy = model.policies[i];
    const std::string path = at("backtest.policies", i);
    if (report.sound({path + ".name"}) && !names.insert(policy.name).second) {
      report.add(path + ".name", "there is another policy called " + in_quotes(policy.name));
    }
    if (policy.capacity == nullptr || !report.sound({path + ".capacity", "backtest.signals"})) continue;
    if (policy.capacity->adviser()) {
      report.add(path + ".capacity", in_quotes(std::string(policy.capacity->name())) +
                                         " asks somebody outside, who knows nothing of the trace: it cannot be "
                                         "back-tested");
      continue;
    }
    for (const std::string& signal : policy.capacity->needs()) {
      if (signals.contains(signal)) continue;
      report.add(path + ".capacity", "it needs the signal " + in_quotes(signal) +
                                         ": say in backtest.signals what that shows" +
                                         did_you_mean(signal, {signals.begin(), signals.end()}));
    }
  }
}

}  // namespace ebb
