// What is recomputed from a ledger's file, byte for byte.
#include "daemon/runtime/replay.hpp"
#include "daemon/runtime/build_id.hpp"

#include <gtest/gtest.h>

#include "config/load.hpp"
#include "daemon/core/decide.hpp"
#include "daemon/model/json.hpp"
#include "daemon/version.hpp"
#include "tests/runtime/ledger_rig.hpp"
#include "tests/runtime/temp_dir.hpp"

namespace ebb::test {
namespace {

constexpr const char* kConfig = R"(
mode: act
warm_up: 0s
pools: [{name: p, gpus: 8, quiet_window: 0s}]
fleets:
  - {name: f, kind: simulated, pool: p}
services:
  - name: chat
    owner: external
    capacity: {policy: conformal, signals: [{signal: in_flight, target: 8}]}
    deployments: [{pool: p, min: 1, max: 8}]
jobs:
  - name: rl
    victim: {policy: least_lost}
    deployments: [{pool: p, fleet: f, max: 8}]
)";

std::shared_ptr<const Config> config() {
  Loaded loaded = load_config_text(kConfig, "replay_test.yaml");
  EXPECT_TRUE(loaded.config) << to_text(loaded.problems);
  return std::make_shared<const Config>(std::move(*loaded.config));
}

Observation seen(std::uint64_t tick, const State& state) {
  Observation out;
  out.at = at_tick(tick);
  WorkloadSeen& chat = out.workloads[DeploymentId("chat@p")];
  chat.signals["in_flight"].value = Sample<double>{static_cast<double>(tick * 7 % 50) / 3, out.at};
  chat.held = Sample<Replicas>{Replicas{2}, out.at};
  chat.asked = Sample<Replicas>{Replicas{(tick + 5) % 50 < 10 ? 7 : 2}, out.at};  // RL has to leave now and then
  FleetSeen fleet;
  Sample<ReplicaLoads> loads{{}, out.at};
  for (const auto& [id, lease] : state.leases) {
    loads.value[id] = static_cast<double>((tick * 5 + loads.value.size() * 3) % 7);
    ReplicaSeen replica;
    replica.id = id;
    replica.deployment = lease.deployment;
    replica.phase = lease.phase == LeasePhase::draining ? ReplicaPhase::gone : ReplicaPhase::ready;
    replica.since = replica.started_at = lease.since;
    replica.gpus = lease.gpus;
    replica.detail = "\xff is no UTF-8";
    fleet.replicas.push_back(std::move(replica));
  }
  out.fleets[FleetId("f")] = Sample<FleetSeen>{std::move(fleet), out.at};
  if (tick % 10 != 0) out.loads[DeploymentId("rl@p")] = std::move(loads);
  return out;
}

/// A ledger of 250 ticks; returns its path.
std::string recorded(const TempDir& dir) {
  const std::string path = dir / "ebb.db";
  auto book = open_book(path).value();
  const auto how = config();
  State state;
  state.started_at = kStart;
  for (std::uint64_t tick = 1; tick <= 250; ++tick) {
    const Observation what = seen(tick, state);
    const Decision decision = decide(what, state, *how, at_tick(tick));
    EXPECT_TRUE(book->record(what, state, decision, how).ok());
    state = decision.next;
  }
  EXPECT_FALSE(state.leases.empty()) << "nothing happened";
  return path;
}

struct Replayed {
  ReplayReport report;
  std::vector<Difference> differences;
};

Replayed replayed(const std::string& path, const char* damage = nullptr) {
  auto db = Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX).value();
  if (damage != nullptr && !db->run(damage).ok()) ADD_FAILURE() << damage;
  Replayed out;
  out.report = replay(*db, [&](const Difference& one) { out.differences.push_back(one); }).value();
  return out;
}

TEST(Replay, TheSameBuildGivesTheSameBytes) {
  const TempDir dir;
  const Replayed all = replayed(recorded(dir));
  EXPECT_EQ(all.report.same, 250);
  EXPECT_EQ(all.report.different, 0) << all.differences.at(0).lines.at(0);
  EXPECT_EQ(all.report.unreadable, 0) << all.report.first_unreadable;
  EXPECT_EQ(all.report.builds, std::vector<std::string>{"test"});
}

TEST(Replay, WhatReplicasWorkOnIsKeptOfReclaimsOnly) {
  const TempDir dir;
  const auto db = Database::open(recorded(dir), SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX).value();
  Statement rows = db->prepare("SELECT tick, decision, observation FROM decisions JOIN inputs USING (tick)").value();
  int reclaims = 0;
  while (rows.step().value()) {
    const std::int64_t tick = rows.number(0);
    const bool looked = rows.text(1).find("leases.reclaim") != std::string::npos && tick % 10 != 0;
    EXPECT_EQ(rows.text(2).find(R"("loads":{"rl@p")") != std::string::npos, looked) << "tick " << tick;
    reclaims += looked ? 1 : 0;
  }
  EXPECT_GE(reclaims, 3);
}

TEST(Replay, SaysWhatComesOutOtherwise) {
  const TempDir dir;
  const Replayed all = replayed(recorded(dir),
                                "UPDATE decisions SET decision = json_set(decision, '$.pools.p.slack', 99) "
                                "WHERE tick = 120");
  ASSERT_EQ(all.differences.size(), 1U);
  EXPECT_EQ(all.differences[0].tick, 120U);
  EXPECT_EQ(all.differences[0].lines.at(0).find("/pools/p/slack: recorded 99, now "), 0U)
      << all.differences[0].lines.at(0);
  EXPECT_EQ(all.report.same, 249);
}

TEST(Replay, AnotherConfigurationDecidesOtherwise) {
  const TempDir dir;
  const Replayed all = replayed(recorded(dir), "UPDATE configs SET text = replace(text, 'gpus: 8', 'gpus: 9')");
  EXPECT_GT(all.report.different, 200);
}

TEST(Replay, AfterAHoleItGoesOnAtTheNextWholeRow) {
  const TempDir dir;
  const Replayed all = replayed(recorded(dir), "DELETE FROM decisions WHERE tick = 150");
  EXPECT_EQ(all.report.unreadable, 49) << "151 to 199";
  EXPECT_EQ(all.report.same, 200);
  EXPECT_EQ(all.report.first_unreadable, "the row that they are a change of is gone");
}

TEST(Replay, WhatItWasMadeFromMayBeDamagedOrMissing) {
  const TempDir dir;
  const std::string path = recorded(dir);
  EXPECT_EQ(replayed(path, "UPDATE inputs SET observation = '{\"patch\": 3}' WHERE tick = 240").report.unreadable, 11);
  EXPECT_EQ(replayed(path, "DELETE FROM configs").report.unreadable, 250);
}

TEST(Replay, ADecisionThatHoldsSomethingElseIsUnreadableAndEndsNothing) {
  const TempDir dir;
  const std::string path = recorded(dir);
  EXPECT_EQ(replayed(path, "UPDATE decisions SET decision = '[1]' WHERE tick = 10").report.unreadable, 1);
  EXPECT_EQ(replayed(path, "UPDATE decisions SET decision = '{\"at\": 5}' WHERE tick = 20").report.unreadable, 2);
  const Replayed early =
      replayed(path, "UPDATE decisions SET decision = json_set(decision, '$.early', 7) WHERE tick = 30");
  EXPECT_EQ(early.report.unreadable, 2);
  EXPECT_EQ(early.report.different, 1);
}

TEST(BuildId, IsTheVersionAndWhatTheLinkerMadeOfIt) {
  const std::string id = build_id();
  ASSERT_EQ(id.find(std::string(kVersion) + "+"), 0U) << id;
  EXPECT_EQ(id.size(), std::string(kVersion).size() + 1 + 12) << id;
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef", std::string(kVersion).size() + 1), std::string::npos) << id;
}

}  // namespace
}  // namespace ebb::test
