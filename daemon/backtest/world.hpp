// Everything of a back-test that does not depend on the policy: computed once, shared by all runs.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "daemon/backtest/demand.hpp"
#include "daemon/backtest/oracle.hpp"
#include "daemon/model/result.hpp"

namespace ebb::backtest {

/// Share of production's demand that was not met, over the ticks that count.
struct Shortfall {
  double total = 0;         ///< integral of max(0, need - ready) / integral of need
  double baseline = 0;      ///< the same had there been no RL
  double attributable = 0;  ///< integral of GPUs production wanted and did not get / integral of what it wanted
};

struct World {
  Config config;  ///< one pool, one service, one job, one simulated fleet; without a capacity policy's choice
  DemandSeries demand;
  std::vector<int> need;    ///< production replicas per tick
  std::vector<int> wanted;  ///< what production's owner wants; equals `need` where Ebb is the owner
  std::size_t first = 0;    ///< ticks before it teach and do not count
  double baseline = 0;      ///< Shortfall::baseline
  Oracle oracle;
  [[nodiscard]] const ServiceConfig& service() const { return config.services.front(); }
  [[nodiscard]] const DeploymentConfig& production() const { return service().deployments.front(); }
  [[nodiscard]] const JobConfig& job() const { return config.jobs.front(); }
  [[nodiscard]] const DeploymentConfig& rl() const { return job().deployments.front(); }
  [[nodiscard]] const PoolConfig& pool() const { return config.pools.front(); }
  [[nodiscard]] bool external() const { return service().owner == Owner::external; }
};

/// From the decision that RL must go to its GPUs being free, and, where Ebb scales production, to that having started
/// on them.
Duration give_back(const World& world);

/// What the model says of a trace's traffic.
DemandOptions demand_options(const BacktestConfig& model, Duration tick);

/// The world of the first service in `config` that shares a pool with a job, under `trace`. Refused when there is no
/// such pair, when a delay is no multiple of the tick, or when the trace is shorter than what is to be learnt.
Result<World> world_of(const Config& config, const Trace& trace);

}  // namespace ebb::backtest
