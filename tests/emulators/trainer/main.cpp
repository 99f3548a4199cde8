// ebb-trainer: a stand-in trainer that publishes real snapshots of a small model and checks what rollouts return.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "daemon/model/time.hpp"
#include "tests/emulators/common/log.hpp"
#include "tests/emulators/trainer/trainer.hpp"

namespace {

using namespace ebb;            // NOLINT(google-build-using-namespace)
using namespace ebb::emulator;  // NOLINT(google-build-using-namespace)

struct Options {
  TrainerConfig trainer;
  std::string encoding = "xor";
  std::string checksum = "xxh3-128";
  std::string step_time = "0s";
  std::string patience = "120s";
};

double seconds_from(const std::string& text) {
  const auto span = duration_from(text);
  if (!span || span->count() < 0) throw CLI::ValidationError("'" + text + "' is no duration such as 500ms or 2s");
  return static_cast<double>(span->count()) / 1000;
}

void declare(CLI::App& app, Options& o) {
  TrainerConfig& t = o.trainer;
  app.add_option("--ebb", t.api, "Ebb's API: http://127.0.0.1:8470")->required();
  app.add_option("--job", t.job, "whose snapshots")->capture_default_str();
  app.add_option("--run", t.run, "the run's name, part of every identity")->capture_default_str();
  app.add_option("--model", t.model, "model that rollouts ask for")->capture_default_str();
  app.add_option("--store", t.store, "directory to write to; default: where each plan says");
  app.add_option("--steps", t.steps, "snapshots to publish")->check(CLI::Range(1, 999'999));
  app.add_option("--seed", t.seed, "of the weights and their changes")->capture_default_str();
  app.add_option("--step-time", o.step_time, "from one publication to the next, at least")->capture_default_str();
  app.add_option("--layers", t.shape.layers, "of the model")->check(CLI::Range(1, 512));
  app.add_option("--hidden", t.shape.hidden, "size of its hidden state")->check(CLI::Range(8, 8192));
  app.add_option("--vocabulary", t.shape.vocabulary, "size of its vocabulary")->check(CLI::Range(8, 1 << 20));
  app.add_option("--encoding", o.encoding, "of increments")->check(CLI::IsMember({"xor", "overwrite"}));
  app.add_option("--checksum", o.checksum, "of increments")->check(CLI::IsMember({"xxh3-128", "adler32"}));
  app.add_option("--fail-at", t.fail_at, "from this step on the first increment is damaged, once");
  app.add_option("--patience", o.patience, "how long the daemon may be away")->capture_default_str();
  app.add_option("--json", t.report, "report, replaced after every step");
  app.add_flag("!--no-check", t.check, "do not ask the replicas what they serve");
  app.add_flag("--tail", t.tail, "a line a step on standard output");
}

awaitable<void> run_to_end(Trainer& trainer, asio::io_context& io) {
  co_await trainer.run();
  io.stop();
}

/// 0: every step went as expected. SIGTERM and SIGINT end it after the step, a second one at once.
int run(Options options) {
  TrainerConfig& config = options.trainer;
  config.step_s = seconds_from(options.step_time);
  config.patience_s = seconds_from(options.patience);
  config.encoding = options.encoding == "xor" ? DeltaEncoding::exclusive_or : DeltaEncoding::overwrite;
  config.checksum = options.checksum == "adler32" ? ChecksumFormat::adler32 : ChecksumFormat::xxh3_128;
  if (const char* token = std::getenv("EBB_TOKEN"); token != nullptr) config.token = token;
  log_line("ebb-trainer",
           fmt::format("stand-in trainer: real files, no learning; {} steps, seed {}", config.steps, config.seed));
  asio::io_context io(1);
  Trainer trainer(io, config);
  if (const Status fit = trainer.prepare(); !fit) throw CLI::ValidationError(fit.error().what);
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code ec, int) {
    if (ec) return;
    trainer.stop();
    signals.async_wait([&io](boost::system::error_code again, int) {
      if (!again) io.stop();
    });
  });
  asio::co_spawn(io, run_to_end(trainer, io), on_done("ebb-trainer"));
  io.run();
  const nlohmann::json report = trainer.report();
  log_line("ebb-trainer", fmt::format("{} of {} steps, {} replicas checked, {} wrong{}", trainer.steps().size(),
                                      config.steps, report.at("checked").get<int>(), report.at("mismatches").get<int>(),
                                      trainer.ok() ? "" : "; not as expected"));
  return trainer.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("A stand-in trainer: publishes snapshots through Ebb and checks what the replicas serve.");
  declare(app, options);
  try {
    app.parse(argc, argv);
    return run(std::move(options));
  } catch (const CLI::ParseError& e) {
    const int status = app.exit(e);
    return status == 0 ? 0 : 2;
  }
}
