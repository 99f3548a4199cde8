// An adviser in a real child process, and a clock that can be put forward past its pauses.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "adapters/advisor/exec_advisor.hpp"
#include "daemon/runtime/system_clock.hpp"
#include "tests/support/run.hpp"

namespace ebb::testing {

/// Real time, and what a test adds to it.
class SkippingClock final : public Clock {
 public:
  explicit SkippingClock(boost::asio::any_io_executor executor) : real_(std::move(executor)) {}
  [[nodiscard]] TimePoint now() const override { return real_.now() + skipped_; }
  awaitable<void> sleep_until(TimePoint at) override { co_await real_.sleep_until(at - skipped_); }
  void skip(Duration span) { skipped_ += span; }

 private:
  SystemClock real_;
  Duration skipped_{0};
};

inline AdviceQuestion question(double in_flight) {
  AdviceQuestion out;
  out.deployment = DeploymentId("chat@p");
  out.at = TimePoint{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + std::chrono::hours{14}};
  out.signals["in_flight"].value = Sample<double>{in_flight, out.at};
  out.ready = {3};
  out.min = {1};
  out.max = {8};
  out.reported = out.expected = 3;
  return out;
}

class AdvisorRig {
 public:
  /// A generous deadline: these machines are busy, and what is tested is seldom the deadline.
  explicit AdvisorRig(std::vector<std::string> command, Duration deadline = Duration{20'000}) {
    std::signal(SIGPIPE, SIG_IGN);  // as the daemon does
    options.name = "chat";
    options.command = std::move(command);
    options.deadline = deadline;
    options.backoff_first = Duration{10'000};  // no second start while a test looks
  }
  ~AdvisorRig() { io.drop(); }

  ExecAdvisor& advisor() {
    if (!made) made = std::make_shared<ExecAdvisor>(options, clock, io.get_executor());
    return *made;
  }
  Reading<Advice> ask(AdviceQuestion asked = question(24)) {
    return wait(test::start(io, advisor().advise(std::move(asked), clock.now() + Duration{60'000})));
  }
  Reading<Advice> wait(std::shared_ptr<std::optional<Reading<Advice>>> answer) {
    until([&] { return answer->has_value(); });
    return answer->value();
  }
  /// Turns the loop until `holds`, or fails after a minute of silence.
  template <class F>
  void until(F holds) {
    io.restart();
    while (!holds()) {
      if (io.run_one_for(std::chrono::minutes{1}) == 0) throw std::runtime_error("nothing happens any more");
    }
  }
  /// Why there is no advice; empty when there is.
  std::string why(AdviceQuestion asked = question(24)) {
    const Reading<Advice> answer = ask(std::move(asked));
    return answer.known() ? "" : answer.missing()->why;
  }

  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }  // frames refer to the members below
  };
  Io io;
  SkippingClock clock{io.get_executor()};
  ExecAdvisorOptions options;
  std::shared_ptr<ExecAdvisor> made;
};

/// A Python child: `body` runs for each question `q`; `say(**fields)` answers it.
inline std::vector<std::string> python(const std::string& body, const std::string& first = "") {
  std::string program = "import json, os, sys, time\n";
  program += "def say(**fields):\n  print(json.dumps({'version': 1, 'seq': q['seq'], **fields}), flush=True)\n";
  program += first + "\nfor line in sys.stdin:\n  q = json.loads(line)\n";
  std::string indented = "  " + body;
  for (std::size_t at = indented.find('\n'); at != std::string::npos; at = indented.find('\n', at + 3)) {
    indented.insert(at + 1, "  ");
  }
  return {"python3", "-c", program + indented + "\n"};
}

}  // namespace ebb::testing
