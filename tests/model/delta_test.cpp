#include "daemon/model/json_delta.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace ebb {
namespace {

const TimePoint kNow{Duration{1'767'225'600'000}};

/// A state in which anything may be there or not.
State random_state(std::mt19937& random) {
  const auto number = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  State out;
  out.tick = random() % 1'000;
  out.started_at = kNow;
  for (int i = 0; i < 12; ++i) {
    const std::string name = std::to_string(i);
    if (number(2) == 0) {
      Lease& lease = out.leases[ReplicaId("r" + name)];
      lease.deployment = DeploymentId("rl@p");
      lease.gpus = {number(3)};
      if (number(2) == 0) lease.start_took = Duration{number(100)};
    }
    if (number(3) == 0) {
      DeploymentMemory& memory = out.deployments[DeploymentId("d" + name)];
      memory.failures = number(2);
      memory.policy.numbers.assign(static_cast<std::size_t>(number(2) * 100), 0.1);
      for (double& value : memory.policy.numbers) value = number(10) == 0 ? number(9) / 3.0 : value;
      out.growth[PoolId("p" + name)] = memory.policy;
    }
    if (number(4) == 0) out.slack[PoolId("p" + name)] = {{kNow, {number(9)}}};
    if (number(4) == 0) out.demand[JobId("j" + name)].replicas = number(3) / 7.0;
    if (number(4) == 0) out.overrides[OverrideId("o" + name)].id = OverrideId("o" + name);
  }
  return out;
}

Observation random_observation(std::mt19937& random) {
  const auto number = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  Observation out;
  out.at = kNow + Duration{number(1'000)};
  for (const char* name : {"f", "g"}) {
    if (number(4) == 0) continue;
    if (number(4) == 0) {
      out.fleets[FleetId(name)] = Missing{"down", kNow};
      continue;
    }
    Sample<FleetSeen> sample{{}, out.at};
    sample.value.unusable = {number(2)};
    for (int i = 0; i < 9; ++i) {
      if (number(3) == 0) continue;
      ReplicaSeen replica;
      replica.id = ReplicaId("r" + std::to_string(i));
      replica.gpus = {number(2)};
      sample.value.replicas.push_back(std::move(replica));
    }
    out.fleets[FleetId(name)] = std::move(sample);
  }
  if (number(3) > 0) out.workloads[DeploymentId("chat@p")].reported = number(3);
  if (number(3) > 0) out.demand[JobId("rl")] = Sample<double>{number(3) / 7.0, kNow};
  if (number(3) > 0) {
    Reading<ReplicaLoads>& loads = out.loads[DeploymentId("rl@p")];
    loads = Missing{"no answer in time", out.at};
    if (number(3) > 0) loads = Sample<ReplicaLoads>{{{ReplicaId("r1"), number(3) / 7.0}}, out.at};
  }
  if (number(3) > 0) out.busy.insert(DeploymentId("rl@p"));
  if (number(3) > 0) out.loading.insert(DeploymentId("rl@p"));
  if (number(3) > 0) out.current[JobId("rl")].insert(ReplicaId("r" + std::to_string(number(2))));
  return out;
}

TEST(Delta, LeadsFromAnyStateToAnyOther) {
  std::mt19937 random(20261124);
  for (int i = 0; i < 500; ++i) {
    const State from = random_state(random), to = random_state(random);
    const Result<State> back = applied(from, nlohmann::json::parse(delta(from, to).dump()));
    ASSERT_TRUE(back.ok()) << back.error().what;
    ASSERT_EQ(*back, to) << delta(from, to).dump(1);
  }
}

TEST(Delta, LeadsFromAnyObservationToAnyOther) {
  std::mt19937 random(20261124);
  for (int i = 0; i < 500; ++i) {
    const Observation from = random_observation(random), to = random_observation(random);
    const Result<Observation> back = applied(from, nlohmann::json::parse(delta(from, to).dump()));
    ASSERT_TRUE(back.ok()) << back.error().what;
    ASSERT_EQ(*back, to) << delta(from, to).dump(1);
  }
}

TEST(Delta, OfALargeMemoryHoldsOnlyWhatChanged) {
  State from;
  from.deployments[DeploymentId("chat@p")].policy.numbers.assign(2'000, 1.0 / 3);
  State to = from;
  to.deployments.begin()->second.policy.numbers[1'234] = 0.5;
  EXPECT_LT(delta(from, to).dump().size(), 1'000U);
  EXPECT_EQ(*applied(from, delta(from, to)), to);
}

TEST(Delta, OfAnotherValueIsRefused) {
  State to;
  to.deployments[DeploymentId("chat@p")].policy.numbers.assign(100, 1);
  State from = to;
  to.deployments.begin()->second.policy.numbers[7] = 2;
  EXPECT_EQ(applied(State(), delta(from, to)).error().code, ErrorCode::malformed);
  EXPECT_EQ(applied(State(), nlohmann::json::parse("[1]")).error().code, ErrorCode::malformed);
  EXPECT_EQ(applied(Observation(), nlohmann::json::object()).error().code, ErrorCode::malformed);
}

}  // namespace
}  // namespace ebb
