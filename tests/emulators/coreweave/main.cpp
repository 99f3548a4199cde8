// ebb-coreweave: CoreWeave Inference's hot-load service without CoreWeave.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <csignal>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/log.hpp"
#include "tests/emulators/coreweave/service.hpp"

namespace {

using namespace ebb::emulator;  // NOLINT(google-build-using-namespace)

struct Options {
  coreweave::Config service;
  std::vector<std::string> knobs;
  std::vector<std::string> deployments;
  int replicas = 1;
};

void declare(CLI::App& app, Options& o) {
  app.add_option("--host", o.service.host, "address to listen on")->capture_default_str();
  app.add_option("--port", o.service.port, "port to listen on; 0 picks a free one")->capture_default_str();
  app.add_option("--key", o.service.key, "API token that is asked for; empty: none");
  app.add_option("--bucket", o.service.bucket, "directory of the snapshots: hot-loads look for their files there");
  app.add_option("--deployment", o.deployments, "UUID of one that exists from the start (repeatable)");
  app.add_option("--replicas", o.replicas, "of each of those")->check(CLI::Range(1, 10'000));
  app.add_option("--knob", o.knobs, "name=value (repeatable); GET /_knob lists all");
}

int run(const Options& options) {
  boost::asio::io_context io(1);
  coreweave::Service service(io, options.service, [] { return monotonic_seconds(); });
  for (const std::string& knob : options.knobs) {
    const auto done = service.knobs().assign(knob);
    if (!done.ok()) throw CLI::ValidationError(done.error().what);
  }
  for (const std::string& id : options.deployments) service.create(id, options.replicas);
  const auto port = service.start();
  if (!port) {
    log_line("ebb-coreweave", port.error().what);
    return 1;
  }
  log_line("ebb-coreweave",
           fmt::format("stand-in for an API, no GPU behind it; ready on http://{}:{}", options.service.host, *port));
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code, int) {
    service.stop();
    io.stop();
  });
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("A stand-in for CoreWeave's hot-load service: no GPU, no model, honest about it.");
  declare(app, options);
  try {
    app.parse(argc, argv);
    return run(options);
  } catch (const CLI::ParseError& e) {
    const int status = app.exit(e);
    return status == 0 ? 0 : 2;
  }
}
