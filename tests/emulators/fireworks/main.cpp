// ebb-fireworks: Fireworks' hot-load and deployments API without Fireworks.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <csignal>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/log.hpp"
#include "tests/emulators/fireworks/service.hpp"

namespace {

using namespace ebb::emulator;  // NOLINT(google-build-using-namespace)

struct Options {
  fireworks::Config service;
  std::vector<std::string> knobs;
  std::vector<std::string> deployments;
  std::string base_model = "accounts/acct/models/stand-in";
  int replicas = 1;
  std::string transition = "ASYNC";
};

void declare(CLI::App& app, Options& o) {
  app.add_option("--host", o.service.host, "address to listen on")->capture_default_str();
  app.add_option("--port", o.service.port, "port to listen on; 0 picks a free one")->capture_default_str();
  app.add_option("--account", o.service.account, "the one account")->capture_default_str();
  app.add_option("--key", o.service.key, "API key that is asked for; empty: none");
  app.add_option("--bucket", o.service.bucket, "directory of the snapshots: loads look for their files there");
  app.add_option("--deployment", o.deployments, "a deployment that exists from the start (repeatable)");
  app.add_option("--base-model", o.base_model, "of those deployments")->capture_default_str();
  app.add_option("--replicas", o.replicas, "of each of those")->check(CLI::Range(0, 1'000));
  app.add_option("--transition", o.transition, "of those")->check(CLI::IsMember({"ASYNC", "SYNC"}));
  app.add_option("--knob", o.knobs, "name=value (repeatable); GET /_knob lists all");
}

int run(const Options& options) {
  boost::asio::io_context io(1);
  fireworks::Service service(io, options.service, [] { return monotonic_seconds(); });
  for (const std::string& knob : options.knobs) {
    const auto done = service.knobs().assign(knob);
    if (!done.ok()) throw CLI::ValidationError(done.error().what);
  }
  for (const std::string& id : options.deployments) {
    nlohmann::json body;
    body["baseModel"] = options.base_model;
    body["minReplicaCount"] = options.replicas;
    body["maxReplicaCount"] = options.replicas;
    body["enableHotLoad"] = true;
    body["hotLoadTransitionType"] = options.transition;
    if (service.create(id, body).status != 200) throw CLI::ValidationError("cannot create " + id);
  }
  const auto port = service.start();
  if (!port) {
    log_line("ebb-fireworks", port.error().what);
    return 1;
  }
  log_line("ebb-fireworks", fmt::format("stand-in for an API, no GPU behind it; ready on http://{}:{} account={}",
                                        options.service.host, *port, options.service.account));
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
  CLI::App app("A stand-in for Fireworks' hot-load API: no GPU, no model, honest about it.");
  declare(app, options);
  try {
    app.parse(argc, argv);
    return run(options);
  } catch (const CLI::ParseError& e) {
    const int status = app.exit(e);
    return status == 0 ? 0 : 2;
  }
}
