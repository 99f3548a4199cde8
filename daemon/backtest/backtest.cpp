#include "daemon/backtest/backtest.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>

#include "config/load.hpp"
#include "config/text.hpp"
#include "daemon/backtest/informed.hpp"
#include "policies/registry.hpp"

namespace ebb::backtest {
namespace {

// From missing often to missing hardly ever.
const std::vector<double> kDeviations{0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4};

/// How far all runs are together, on one line that is written over.
class ProgressLine {
 public:
  ProgressLine(std::ostream* out, std::int64_t total) : out_(out), total_(total) {}

  /// Shows nothing during the first two seconds.
  void update(std::int64_t done, std::chrono::milliseconds since_start) {
    if (out_ == nullptr || since_start < std::chrono::seconds{2}) return;
    constexpr int kWidth = 40;
    const double share = static_cast<double>(done) / static_cast<double>(std::max<std::int64_t>(total_, 1));
    const auto filled = static_cast<std::size_t>(std::min(share, 1.0) * kWidth);
    *out_ << '\r' << '[' << std::string(filled, '#') << std::string(kWidth - filled, '.') << "] "
          << static_cast<int>(std::min(share, 1.0) * 100) << " %" << std::flush;
    shown_ = true;
  }
  void end() {
    if (shown_) *out_ << "\r" << std::string(60, ' ') << "\r" << std::flush;
  }

 private:
  std::ostream* out_;
  std::int64_t total_;
  bool shown_ = false;
};

Result<Contender> built_in(const std::string& name) {
  std::shared_ptr<const CapacityPolicy> policy = make_capacity(name);
  if (policy != nullptr) {
    const std::vector<OptionProblem> problems = policy->problems();
    if (problems.empty() || policy->adviser()) return Contender{name, std::move(policy)};
    return Error{ErrorCode::invalid,
                 fmt::format("policy '{}' does not run without options ({}: {}): give it a name and options under "
                             "backtest.policies",
                             name, problems.front().option, problems.front().what),
                 false};
  }
  std::vector<std::string> known;
  for (const std::string_view word : capacity_policies()) known.emplace_back(word);
  return Error{ErrorCode::invalid, "there is no policy " + in_quotes(name) + did_you_mean(name, known), false};
}

bool shown_by(const BacktestConfig& model, const std::string& signal) {
  return signal == "load" || std::any_of(model.signals.begin(), model.signals.end(),
                                         [&](const BacktestSignal& known) { return known.signal == signal; });
}

}  // namespace

Result<std::vector<Contender>> contenders(const Config& config, const std::vector<std::string>& names) {
  std::vector<Contender> all{{std::string(config.services.front().capacity->name()), config.services.front().capacity}};
  for (const BacktestPolicy& policy : config.backtest.policies) all.push_back({policy.name, policy.capacity});
  std::vector<Contender> chosen;
  for (const std::string& name : names) {
    const auto found = std::find_if(all.rbegin(), all.rend(), [&](const Contender& c) { return c.name == name; });
    Result<Contender> one = found != all.rend() ? Result<Contender>(*found) : built_in(name);
    if (!one.ok()) return one.error();
    chosen.push_back(*std::move(one));
  }
  if (names.empty()) chosen = all;
  for (const Contender& contender : chosen) {
    if (contender.capacity->adviser()) {
      return Error{ErrorCode::invalid,
                   fmt::format("policy '{}' asks somebody outside, who knows nothing of the trace: it cannot be "
                               "back-tested; name others with --policy",
                               contender.name),
                   false};
    }
    for (const std::string& signal : contender.capacity->needs()) {
      if (shown_by(config.backtest, signal)) continue;
      return Error{ErrorCode::invalid,
                   fmt::format("policy '{}' needs the signal '{}': say in backtest.signals what one busy replica shows",
                               contender.name, signal),
                   false};
    }
  }
  return chosen;
}

Comparison compared(World world, const std::vector<Contender>& contenders, std::ostream* progress) {
  Comparison out;
  out.seed = world.config.backtest.seed;
  out.world = std::move(world);
  out.runs.resize(contenders.size());
  std::atomic<std::int64_t> done{0};
  std::atomic<std::size_t> next{0};
  std::size_t finished = 0;
  std::mutex mutex;
  std::condition_variable changed;
  const auto work = [&] {
    for (std::size_t i = next++; i < contenders.size(); i = next++) {
      RunResult run = simulated(out.world, contenders[i], done);
      const std::lock_guard lock(mutex);
      out.runs[i] = std::move(run);
      ++finished;
      changed.notify_one();
    }
  };
  std::vector<std::jthread> threads;
  const std::size_t cores = std::max(std::thread::hardware_concurrency(), 1u);
  for (std::size_t i = 0; i < std::min(cores, contenders.size()); ++i) threads.emplace_back(work);
  ProgressLine line(progress, static_cast<std::int64_t>(out.world.need.size() * contenders.size()));
  std::unique_lock lock(mutex);
  constexpr std::chrono::milliseconds kRefresh{250};
  std::chrono::milliseconds waited{0};
  while (!changed.wait_for(lock, kRefresh, [&] { return finished == contenders.size(); })) {
    waited += kRefresh;
    line.update(done.load(std::memory_order_relaxed), waited);
  }
  line.end();
  return out;
}

double efficiency(const RunResult& run, const Oracle& oracle) {
  return oracle.gpu_hours > 0 ? run.harvested_gpu_hours / oracle.gpu_hours : 0;
}

double goodput(const RunResult& run, const Oracle& oracle) {
  return oracle.gpu_hours > 0 ? (run.harvested_gpu_hours - run.wasted_gpu_hours) / oracle.gpu_hours : 0;
}

int command(const Options& options, std::ostream& out, std::ostream& err) {
  Loaded loaded = load_config(options.config_path);
  if (!loaded.config) {
    err << to_text(loaded.problems);
    return 2;
  }
  Config config = *std::move(loaded.config);
  BacktestConfig& model = config.backtest;
  if (!options.trace.empty()) model.trace = options.trace;
  if (options.seed >= 0) model.seed = options.seed;
  if (options.bridge >= 0) model.bridge = options.bridge;
  if (options.scale_to_peak >= 0) model.scale_to_peak = options.scale_to_peak;
  const auto refuse = [&](const Error& error, int status) {
    err << "ebbd backtest: " << error.what << "\n";
    return status;
  };
  const Result<Trace> trace = model.trace.empty() ? synthetic_week(model.seed) : load_trace(model.trace);
  if (!trace.ok()) return refuse(trace.error(), 1);
  Result<World> world = world_of(config, *trace);
  if (!world.ok()) return refuse(world.error(), 2);
  auto chosen = contenders(world->config, options.policies);
  if (!chosen.ok()) return refuse(chosen.error(), 2);
  if (options.informed) {
    if (trace->rows.empty()) err << "ebbd backtest: --informed adds nothing: the trace has single requests, no rows\n";
    for (Contender& reader : informed(*world, *trace, kDeviations)) chosen->push_back(std::move(reader));
  }
  Comparison comparison = compared(*std::move(world), *chosen, ::isatty(STDERR_FILENO) == 1 ? &err : nullptr);
  comparison.trace = trace->name;
  comparison.config_hash = config.hash;
  const std::string text = options.format == "json"   ? json(comparison)
                           : options.format == "html" ? page(comparison, options.chart)
                                                      : table(comparison);
  if (options.out.empty()) {
    out << text;
    return 0;
  }
  std::ofstream file(options.out, std::ios::binary);
  file << text << std::flush;
  if (file.good()) return 0;
  return refuse({ErrorCode::exhausted, options.out + " could not be written", false}, 1);
}

}  // namespace ebb::backtest
