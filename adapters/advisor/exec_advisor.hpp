// An adviser that is a child process. It is started by the first question, asked over its standard input and heard over
// its standard output (protocol.hpp), and started again with growing pauses when it fails:
//
//   down --question, pause over--> up --ends, garbage, silent for `patience`, too much--> killed --reaped--> down
//
// Questions are numbered over all children, so that an answer to an earlier question can never be taken for another's.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/ports/advisor.hpp"
#include "daemon/ports/clock.hpp"

namespace ebb {

struct ExecAdvisorOptions {
  std::string name;  ///< the service, for the log
  std::vector<std::string> command;
  Duration deadline{200};          ///< for one answer
  std::set<std::string> hidden{};  ///< variables of the environment that it does not inherit
  Duration backoff_first{1'000};   ///< pause before it is started again; doubles
  Duration backoff_max{60'000};    ///< the longest pause; a child that lived for so long starts the row anew
  Duration patience{30'000};       ///< asked and not heard for so long: it is ended
  friend bool operator==(const ExecAdvisorOptions&, const ExecAdvisorOptions&) = default;
};

class ExecAdvisor final : public Advisor {
 public:
  /// The clock must outlive the executor's context.
  ExecAdvisor(ExecAdvisorOptions options, Clock& clock, boost::asio::any_io_executor executor);
  ~ExecAdvisor() override;
  ExecAdvisor(const ExecAdvisor&) = delete;
  ExecAdvisor& operator=(const ExecAdvisor&) = delete;

  awaitable<Reading<Advice>> advise(AdviceQuestion question, TimePoint deadline) override;
  [[nodiscard]] Duration wants() const override;
  [[nodiscard]] const ExecAdvisorOptions& options() const;
  /// Kills the child and its group; no further one is started.
  void close();

 private:
  class Talk;
  std::shared_ptr<Talk> talk_;  ///< shared with the coroutines that read, write and reap
};

}  // namespace ebb
