// ebb-load: production's users (open loop) and an RL job's rollouts (closed loop), with every token checked.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "daemon/model/time.hpp"
#include "tests/emulators/common/log.hpp"
#include "tests/emulators/load/production.hpp"
#include "tests/emulators/load/rollouts.hpp"

namespace {

using namespace ebb;            // NOLINT(google-build-using-namespace)
using namespace ebb::emulator;  // NOLINT(google-build-using-namespace)

struct Options {
  ProductionConfig production;
  RolloutConfig rollouts;
  std::string trace;
  std::string day = "180s";
  std::string lead_in = "0s";
  std::string timeout = "30s";
  std::string duration = "0s";
  std::string rollout_timeout = "300s";
  bool completions = false;
};

double seconds_from(const std::string& text) {
  const auto span = duration_from(text);
  if (!span || span->count() < 0) throw CLI::ValidationError("'" + text + "' is no duration such as 500ms or 2s");
  return static_cast<double>(span->count()) / 1000;
}

void declare_common(CLI::App& app, DiscoveryConfig& discovery, OutputConfig& output, std::string& model) {
  app.add_option("--ebb", discovery.api, "Ebb's API, to learn the replicas from: http://127.0.0.1:8470");
  app.add_option("--deployment", discovery.deployment, "service or job, or <name>@<pool>");
  app.add_option("--targets", discovery.targets, "replicas' URLs instead")->delimiter(',');
  app.add_option("--model", model, "model to ask for")->capture_default_str();
  app.add_option("--json", output.summary, "summary file, replaced every second");
  app.add_option("--series", output.series, "JSON lines, one a second");
}

void declare_production(CLI::App& app, Options& o) {
  ProductionConfig& p = o.production;
  declare_common(app, p.discovery, p.output, p.model);
  app.add_option("--trace", o.trace, "CSV of a day; default: the built-in day");
  app.add_option("--day", o.day, "the day takes so long")->capture_default_str();
  app.add_option("--lead-in", o.lead_in, "the day's first rate for so long before it")->capture_default_str();
  app.add_option("--peak-rps", p.arrivals.peak_rps, "requests/s at the peak")->check(CLI::Range(0.0, 1e5));
  app.add_option("--seed", p.arrivals.seed, "of arrivals and lengths")->capture_default_str();
  app.add_option("--prompt-tokens", p.prompt_tokens, "mean")->check(CLI::Range(4.0, 4096.0));
  app.add_option("--output-tokens", p.output_tokens, "mean")->check(CLI::Range(1.0, 65536.0));
  app.add_option("--tokens-max", p.tokens_max, "longest output")->check(CLI::Range(1, 65536));
  app.add_option("--sigma", p.sigma, "of the logarithm of lengths")->check(CLI::Range(0.0, 3.0));
  app.add_option("--timeout", o.timeout, "no full answer by then is an error")->capture_default_str();
  app.add_flag("--completions", o.completions, "use /v1/completions instead of chat");
}

void declare_rollouts(CLI::App& app, Options& o) {
  RolloutConfig& r = o.rollouts;
  declare_common(app, r.discovery, r.output, r.model);
  app.add_option("--per-replica", r.per_replica, "rollouts in flight per replica")->check(CLI::Range(1, 4096));
  app.add_option("--in-flight", r.total, "rollouts in flight in all, instead")->check(CLI::Range(1, 65536));
  app.add_option("--seed", r.seed, "of prompts and lengths")->capture_default_str();
  app.add_option("--prompt-tokens", r.prompt_tokens, "mean")->check(CLI::Range(4.0, 4096.0));
  app.add_option("--output-tokens", r.output_tokens, "mean")->check(CLI::Range(1.0, 65536.0));
  app.add_option("--tokens-max", r.tokens_max, "longest output")->check(CLI::Range(1, 65536));
  app.add_option("--sigma", r.sigma, "of the logarithm of lengths")->check(CLI::Range(0.0, 3.0));
  app.add_option("--timeout", o.rollout_timeout, "of one attempt")->capture_default_str();
  app.add_option("--duration", o.duration, "0s: until SIGTERM")->capture_default_str();
  app.add_option("--rollouts", r.rollouts, "JSON lines: each attempt, its replica and the weights of its tokens");
}

void check(const Status& status) {
  if (!status) throw CLI::ValidationError(status.error().what);
}

template <class Load>
awaitable<void> run_to_end(Load& load, asio::io_context& io) {
  co_await load.run();
  io.stop();
}

/// Runs until the load is over; SIGTERM and SIGINT end it early, a second one at once.
template <class Load>
int drive(Load& load, asio::io_context& io) {
  check(load.prepare());
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code ec, int) {
    if (ec) return;
    load.stop();
    signals.async_wait([&io](boost::system::error_code again, int) {
      if (!again) io.stop();
    });
  });
  asio::co_spawn(io, run_to_end(load, io), on_done("ebb-load"));
  io.run();
  fmt::print("{}\n", to_json(load.report()).dump(2));
  return 0;
}

int run_production(Options options) {
  ProductionConfig& config = options.production;
  config.arrivals.day_s = seconds_from(options.day);
  config.arrivals.lead_in_s = seconds_from(options.lead_in);
  config.timeout_s = seconds_from(options.timeout);
  config.chat = !options.completions;
  if (config.arrivals.day_s <= 0) throw CLI::ValidationError("--day must be positive");
  Day day = built_in_day();
  if (!options.trace.empty()) {
    const auto text = read_file(options.trace);
    if (!text) throw CLI::ValidationError(text.error().what);
    auto read = day_from_trace(*text);
    if (!read) throw CLI::ValidationError(options.trace + ": " + read.error().what);
    day = std::move(*read);
  }
  log_line("ebb-load", fmt::format("production: day of {} s, peak {} requests/s, seed {}", config.arrivals.day_s,
                                   config.arrivals.peak_rps, config.arrivals.seed));
  asio::io_context io(1);
  ProductionLoad load(io, config, std::move(day));
  return drive(load, io);
}

int run_rollouts(Options options) {
  RolloutConfig& config = options.rollouts;
  config.timeout_s = seconds_from(options.rollout_timeout);
  config.duration_s = seconds_from(options.duration);
  log_line("ebb-load", fmt::format("rollouts: seed {}", config.seed));
  asio::io_context io(1);
  RolloutLoad load(io, config);
  return drive(load, io);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Load for Ebb: production requests and RL rollouts.");
  app.require_subcommand(1);
  auto* production = app.add_subcommand("production", "open loop, arrivals follow a day");
  auto* rollouts = app.add_subcommand("rollouts", "closed loop, so many in flight");
  declare_production(*production, options);
  declare_rollouts(*rollouts, options);
  try {
    app.parse(argc, argv);
    return *production ? run_production(std::move(options)) : run_rollouts(std::move(options));
  } catch (const CLI::ParseError& e) {
    const int status = app.exit(e);
    return status == 0 ? 0 : 2;
  }
}
