#pragma once

#include <boost/asio/awaitable.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/record.hpp"
#include "daemon/model/result.hpp"

namespace ebb {

using boost::asio::awaitable;

/// One point of the status page: per deployment what serves and what production asks of it.
struct HistoryPoint {
  TimePoint at{};
  std::map<DeploymentId, double> in_flight;  ///< production; absent while unknown
  std::map<DeploymentId, Replicas> ready;    ///< services and jobs
  std::map<PoolId, Gpus> reserve;
};

struct ReloadStatus {
  bool ok = true;
  TimePoint at{};        ///< of the last attempt
  std::string problems;  ///< of the last refused file, one `file:line:col: message` a line
};

/// What the daemon shows to the outside: immutable values, replaced as a whole.
struct BoardView {
  TimePoint now{};
  TimePoint started_at{};
  std::string version;
  std::shared_ptr<const Config> config;
  std::shared_ptr<const Observation> seen;   ///< newest; null before the first
  std::shared_ptr<const Decision> decision;  ///< newest; null before the first
  std::shared_ptr<const State> state;        ///< newest, with outcomes folded in
  ReloadStatus reload;
  bool ledger_ok = true;
  std::string ledger_problem;
  bool ready = false;  ///< config valid, ledger open, a decision made, the loop on time
  std::string not_ready_why;
};

/// What an API may ask of the daemon. Control thread.
class Control {
 public:
  virtual ~Control() = default;
  [[nodiscard]] virtual BoardView view() const = 0;
  /// Oldest first, one point a sample, at most an hour's worth thinned to 3,600.
  [[nodiscard]] virtual const std::deque<HistoryPoint>& history() const = 0;
  /// Recorded in the ledger before it returns, effective in the next tick, which is poked.
  virtual awaitable<Result<Override>> set_override(Override wanted) = 0;
  virtual awaitable<Status> clear_override(OverrideId id, std::string by) = 0;
  virtual awaitable<Status> set_demand(JobId job, Demand demand) = 0;
  /// The registry's text, in the Prometheus exposition format.
  [[nodiscard]] virtual std::string metrics_text() = 0;
  /// Called with (event name, JSON text) after every decision and outcome, until the returned token is destroyed.
  using Listener = std::function<void(const std::string& name, const std::string& json)>;
  [[nodiscard]] virtual std::shared_ptr<void> subscribe(Listener listener) = 0;
};

}  // namespace ebb
