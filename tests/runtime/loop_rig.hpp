// A control loop with fakes for all that it talks to, under a virtual clock.
#pragma once

#include <gtest/gtest.h>

#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/control_loop.hpp"
#include "tests/support/fake_ports.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::testing {

class Listener final : public LoopListener {
 public:
  void observed(const Observation& seen, Duration) override { last_seen = seen, ++observations; }
  void decided(const Observation&, const Decision& decision, Duration) override { decisions.push_back(decision); }
  void finished(const Finished& action) override { endings.push_back(action.outcome); }
  void state_is(const State& now) override { state = now; }
  void ledger_is(const std::string& problem) override { ledger.push_back(problem); }
  void progress(TimePoint) override { ++passes; }

  int observations = 0, passes = 0;
  Observation last_seen;
  std::vector<Decision> decisions;
  std::vector<Outcome> endings;
  std::vector<std::string> ledger;
  State state;
};

/// A loop on a small pool: 8 GPUs, tick 5 s, samples every second.
class Rig {
 public:
  explicit Rig(Config wanted = small_config()) : config(std::make_shared<Config>(std::move(wanted))) {
    auto made = std::make_shared<Wiring>();
    made->fleets[kFleet] = fleet;
    made->sources[kChat] = {source};
    wiring = made;
  }
  ~Rig() { io.drop(); }

  void start(State state = {}) {
    state.started_at = clock.now();
    spawn(io.get_executor(), loop.run(std::move(state)));
    run(0);
  }
  void run(double seconds) { clock.run_for(io, Duration{static_cast<std::int64_t>(seconds * 1000)}); }

  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }  // frames refer to the members below
  };
  Io io;
  test::VirtualClock clock{kStart};
  World world;
  std::shared_ptr<Config> config;
  std::shared_ptr<WorldFleet> fleet = std::make_shared<WorldFleet>(world, clock);
  std::shared_ptr<SaidSource> source = std::make_shared<SaidSource>(clock);
  std::shared_ptr<const Wiring> wiring;
  MemoryLedger ledger;
  Listener listener;
  Observer observer{clock};
  Actuator actuator{io.get_executor(), clock};
  ControlLoop loop{io.get_executor(),
                   {clock, ledger, observer, actuator, listener, [this] { return config; }, [this] { return wiring; }}};
};

}  // namespace ebb::testing
