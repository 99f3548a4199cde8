// api-demo-server: the real API, server and page over a fleet of values whose day moves by itself. Prints its port,
// runs until SIGTERM. A stand-in for tests and for working on the page; nothing of it is in ebbd.
#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <cmath>
#include <iostream>

#include "daemon/api/api.hpp"
#include "daemon/api/server.hpp"
#include "daemon/ports/spawn.hpp"
#include "tests/support/fake_control.hpp"
#include "tests/support/run.hpp"

namespace {

namespace asio = boost::asio;
using namespace ebb;

struct Options {
  int warm_up = 300;        ///< seconds of the day before the first request
  int interval_ms = 1'000;  ///< between two ticks; 0: the day stands still
  std::string mode = "act";
  std::string token_file;
  bool alarm = false;
};

/// Two waves over a slow swell, as production has them, with a gap in which the metrics are missing.
std::optional<double> in_flight(int second) {
  if (second % 150 > 118 && second % 150 < 124) return std::nullopt;
  const double swell = 40 + 34 * std::sin(second / 38.0);
  return std::round(std::max(0.0, swell + 8 * std::sin(second / 4.3)));
}

Config config_of(const Options& options) {
  Config config = test::Day::day_config();
  if (options.mode == "advise") config.mode = Mode::advise;
  if (!options.token_file.empty()) config.api.tokens = {{"test", {"file:" + options.token_file}, {"read", "operate"}}};
  config.api.listen = "127.0.0.1:0";
  return config;
}

asio::awaitable<void> turn(test::Day& day, test::FakeControl& control, test::FakeLedger& ledger,
                           test::StillClock& clock, const Options& options) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int second = 0;; ++second) {
    if (second >= options.warm_up) {
      if (options.interval_ms == 0) co_return;
      timer.expires_after(std::chrono::milliseconds(options.interval_ms));
      co_await timer.async_wait(asio::use_awaitable);
    }
    day.step(in_flight(second), control, ledger);
    clock.at = day.now();
    if (!options.alarm) continue;
    Decision decision = *control.board.decision;
    decision.alarms.push_back({"leases.lost", "rl@p-7-1"});
    control.board.decision = std::make_shared<const Decision>(std::move(decision));
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"the status page and the API over a made-up day", "api-demo-server"};
  app.add_option("--warm-up", options.warm_up, "seconds of the day before the first request");
  app.add_option("--interval-ms", options.interval_ms, "between two ticks; 0: the day stands still");
  app.add_option("--mode", options.mode, "act or advise");
  app.add_option("--token-file", options.token_file, "a token with every scope");
  app.add_flag("--alarm", options.alarm, "raise one");
  CLI11_PARSE(app, argc, argv);

  test::FakeControl control;
  test::FakeLedger ledger;
  test::StillClock clock;
  const Config config = config_of(options);
  test::Day day(config);
  asio::io_context io(1);
  Api api(control, ledger, clock);
  spawn(io.get_executor(), turn(day, control, ledger, clock, options));
  io.poll();
  io.restart();  // a day that stands still leaves the loop without work for a moment
  auto server = Server::listen(io.get_executor(), config.api, api);
  if (!server.ok()) {
    std::cerr << server.error().what << "\n";
    return 1;
  }
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&io](boost::system::error_code, int) { io.stop(); });
  std::cout << (*server)->port() << std::endl;
  io.run();
  return 0;
}
