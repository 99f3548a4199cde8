#include "daemon/backtest/world.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/backtest/production.hpp"

namespace ebb::backtest {
namespace {

const FleetId kFleet{"simulated"};

struct Pair {
  const ServiceConfig* service = nullptr;
  const DeploymentConfig* production = nullptr;
  const JobConfig* job = nullptr;
  const DeploymentConfig* rl = nullptr;
};

Pair pair_in(const Config& config) {
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& production : service.deployments) {
      for (const JobConfig& job : config.jobs) {
        for (const DeploymentConfig& rl : job.deployments) {
          if (rl.pool == production.pool) return {&service, &production, &job, &rl};
        }
      }
    }
  }
  return {};
}

/// The pair alone in its pool, on a fleet that behaves as `backtest` says.
Config narrowed(const Config& config, const Pair& pair) {
  const BacktestConfig& model = config.backtest;
  Config out = config;
  out.mode = Mode::act;
  out.pools = {*std::find_if(config.pools.begin(), config.pools.end(),
                             [&](const PoolConfig& pool) { return pool.name == pair.rl->pool; })};
  FleetConfig fleet;
  fleet.name = kFleet;
  fleet.kind = FleetKind::simulated;
  fleet.pool = out.pools.front().name;
  out.fleets = {fleet};
  out.services = {*pair.service};
  out.services.front().deployments = {*pair.production};
  DeploymentConfig& production = out.services.front().deployments.front();
  production.fleet = pair.service->owner == Owner::ebb ? kFleet : FleetId();
  production.drain_timeout = Duration{0};
  out.jobs = {*pair.job};
  out.jobs.front().deployments = {*pair.rl};
  DeploymentConfig& rl = out.jobs.front().deployments.front();
  rl.fleet = kFleet;
  rl.drain_timeout = model.rl_drain;
  // What the model observes is as old as it says, and no older; a start takes as long as it says.
  out.stale_after = std::max(out.stale_after, model.observe_delay + 2 * out.tick);
  for (DeploymentConfig* deployment : {&production, &rl}) {
    deployment->start_timeout =
        std::max(deployment->start_timeout, 2 * std::max(model.production_start, model.rl_start));
  }
  return out;
}

/// Shortfall of production's need when nobody else is in the pool.
double baseline_of(const World& world) {
  const Duration tick = world.config.tick;
  const auto start = static_cast<std::size_t>(world.config.backtest.production_start / tick);
  double missed = 0, sum = 0;
  for (std::size_t i = world.first; i < world.need.size(); ++i) {
    // Replicas wanted throughout the start-up are ready; with an owner outside they are wanted from tick 0 on.
    int ready = world.wanted[i];
    for (std::size_t j = i >= start ? i - start : 0; j < i; ++j) ready = std::min(ready, world.wanted[j]);
    missed += std::max(world.need[i] - ready, 0);
    sum += world.need[i];
  }
  return sum > 0 ? missed / sum : 0;
}

OracleInput oracle_input(const World& world) {
  const BacktestConfig& model = world.config.backtest;
  OracleInput in;
  in.tick = world.config.tick;
  for (const int replicas : world.wanted) {
    in.free.push_back((world.pool().gpus - Replicas{replicas} * world.production().gpus_per_replica).count);
  }
  in.gap = world.demand.gap;
  in.first = world.first;
  in.each = world.rl().gpus_per_replica;
  in.start = model.rl_start;
  in.give_back = give_back(world);
  return in;
}

std::optional<Error> unusable(const Config& config, const Trace& trace) {
  const BacktestConfig& model = config.backtest;
  const auto refuse = [](const std::string& what) { return Error{ErrorCode::invalid, what, false}; };
  for (const auto& [name, span] :
       {std::pair{"observe_delay", model.observe_delay}, std::pair{"production_start", model.production_start},
        std::pair{"rl_start", model.rl_start}, std::pair{"rl_drain", model.rl_drain},
        std::pair{"rl_evict", model.rl_evict}, std::pair{"owner_sync", model.owner_sync},
        std::pair{"owner_window", model.owner_window}}) {
    if (span % config.tick != Duration{0}) {
      return refuse(fmt::format("backtest.{} must be a multiple of the tick, got {} with tick {}", name, to_text(span),
                                to_text(config.tick)));
    }
  }
  const Duration length{static_cast<std::int64_t>(trace.seconds() * 1'000)};
  if (length <= model.learn + config.tick) {
    return refuse(fmt::format("the trace {} lasts {}: it must be longer than backtest.learn and a tick, {}", trace.name,
                              to_text(length), to_text(model.learn + config.tick)));
  }
  return {};
}

}  // namespace

Duration give_back(const World& world) {
  const BacktestConfig& model = world.config.backtest;
  const Duration leaves = world.job().evict_when_short ? std::min(model.rl_evict, model.rl_drain) : model.rl_drain;
  return world.external() ? leaves : leaves + model.production_start;
}

DemandOptions demand_options(const BacktestConfig& model, Duration tick) {
  return {tick, static_cast<std::uint64_t>(model.seed), model.bridge, model.prefill_tokens_per_s,
          model.decode_tokens_per_s};
}

Result<World> world_of(const Config& config, const Trace& trace) {
  const Pair pair = pair_in(config);
  if (pair.job == nullptr) {
    return Error{ErrorCode::invalid, "no service shares a pool with a job: there is nothing to back-test", false};
  }
  if (auto error = unusable(config, trace)) return *error;
  const BacktestConfig& model = config.backtest;
  World world;
  world.config = narrowed(config, pair);
  world.demand = demand_of(trace, demand_options(model, config.tick));
  if (world.demand.peak <= 0) return Error{ErrorCode::invalid, "the trace " + trace.name + " has no traffic", false};
  if (model.scale_to_peak > 0) {
    const double replicas = model.scale_to_peak * world.pool().gpus.count / world.production().gpus_per_replica.count;
    world.demand = scaled(std::move(world.demand), replicas * model.target_utilisation / world.demand.peak);
  }
  const Replicas most =
      std::min(world.production().max, fitting(world.pool().gpus, world.production().gpus_per_replica));
  world.need = needed(world.demand.load, model.target_utilisation, world.production().min, most);
  world.wanted = world.external() ? wanted(world.need, config.tick, model.owner_sync, model.owner_window) : world.need;
  world.first = static_cast<std::size_t>(model.learn / config.tick);
  world.baseline = world.external() ? baseline_of(world) : 0;
  world.oracle = oracle_of(oracle_input(world));
  return world;
}

}  // namespace ebb::backtest
