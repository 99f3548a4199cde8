// What the tests kill: a writer of a ledger, a holder of a lock, a process with our signal handling.
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstring>
#include <string>

#include "daemon/runtime/process_lock.hpp"
#include "daemon/runtime/signals.hpp"
#include "tests/runtime/ledger_rig.hpp"

namespace ebb::test {
namespace {

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

/// Appends until it is killed; a line is written only for what the ledger acknowledged.
int write_ledger(const std::string& path) {
  auto book = open_book(path);
  if (!book.ok()) return say("refused " + book.error().what), 1;
  Recovered before = (*book)->recover();
  for (std::uint64_t tick = before.state.tick + 1;; ++tick) {
    const Decision decision = decision_at(tick, static_cast<int>(tick % 3));
    if (!(*book)->record(decision).ok()) return 2;
    say("tick " + std::to_string(tick));
    if (decision.plan.actions.empty()) {
      const Result<std::uint64_t> seq = (*book)->record(override_set(freeze(std::to_string(tick)), at_tick(tick)));
      if (!seq.ok()) return 3;
      say("event " + std::to_string(*seq));
      continue;
    }
    if (!(*book)->record({outcome_of(decision.plan.actions[0], OutcomeKind::done, at_tick(tick))}).ok()) return 4;
    say("outcome " + decision.plan.actions[0].id.value);
  }
}

int hold_lock(const std::string& directory) {
  const auto lock = ProcessLock::take(directory);
  if (!lock.ok()) return say(lock.error().what), 1;
  say("held");
  ::pause();
  return 0;
}

int wait_for_signals() {
  boost::asio::io_context io;
  boost::asio::steady_timer for_ever(io, boost::asio::steady_timer::time_point::max());
  for_ever.async_wait([](const boost::system::error_code&) {});
  const Signals signals(
      io.get_executor(), [] { say("stop"); }, [] { say("reload"); });
  say("ready");
  io.run();
  return 0;
}

}  // namespace
}  // namespace ebb::test

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "ledger" && argc == 3) return ebb::test::write_ledger(argv[2]);
  if (what == "lock" && argc == 3) return ebb::test::hold_lock(argv[2]);
  if (what == "signals") return ebb::test::wait_for_signals();
  return 64;
}
