#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>

#include "daemon/model/observation.hpp"
#include "daemon/model/time.hpp"

namespace ebb {

using boost::asio::awaitable;

/// What an adviser is told of one production deployment.
struct AdviceQuestion {
  DeploymentId deployment;
  TimePoint at{};
  std::map<std::string, SignalSeen> signals;  ///< as the sources gave them
  int reported = 0;                           ///< replicas with a fresh report
  int expected = 0;                           ///< replicas that should have reported
  Replicas ready, min, max;
};

/// Somebody outside who says how many replicas production needs: the capacity policies `exec` and `plugin`. Answers are
/// recorded in the observation; the policy reads them there. Control thread; calls may overlap.
class Advisor {
 public:
  virtual ~Advisor() = default;
  /// Never throws: without a usable answer the reading is Missing with its reason. Returns by `deadline`.
  virtual awaitable<Reading<Advice>> advise(AdviceQuestion question, TimePoint deadline) = 0;
  /// The time it wants for an answer; what is asked before it leaves that much.
  [[nodiscard]] virtual Duration wants() const = 0;
};

}  // namespace ebb
