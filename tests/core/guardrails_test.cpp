// What slows growth, and that none of it holds back a reclaim.
#include <gtest/gtest.h>

#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

Seen busy(double second, int rl) { return Seen(second).chat(64).replica("c1", kChat).replicas("r", kRl, rl); }

Override override_of(OverrideKind kind, const std::string& target, int replicas = 0, double until = 1e6) {
  Override out;
  out.id = OverrideId("o1");
  out.kind = kind;
  out.target = target;
  out.replicas = {replicas};
  out.owner = "ann";
  out.reason = "incident 7";
  out.expires_at = at_second(until);
  return out;
}

State with(Override value) {
  State state;
  state.overrides[value.id] = std::move(value);
  return state;
}

struct Guard {
  int line;
  const char* rule;
  void (*arm)(Config&, State&);
};

/// Each guard alone, armed at second 100 with three RL replicas running.
const Guard kGuards[] = {
    {__LINE__, "guardrails.warm_up",
     [](Config& c, State& s) {
       c.warm_up = Duration{60'000};
       s.started_at = at_second(90);
     }},
    {__LINE__, "guardrails.warm_up",
     [](Config& c, State& s) {
       c.services[0].capacity = tracking(8, 60);
       s.started_at = at_second(90);
     }},
    {__LINE__, "guardrails.frozen",
     [](Config&, State& s) { s.overrides[OverrideId("o1")] = override_of(OverrideKind::freeze, ""); }},
    {__LINE__, "guardrails.frozen",
     [](Config&, State& s) { s.overrides[OverrideId("o1")] = override_of(OverrideKind::freeze, "rl"); }},
    {__LINE__, "guardrails.grow_cooldown",
     [](Config& c, State& s) {
       c.jobs[0].grow_cooldown = Duration{30'000};
       s.deployments[kRl].last_grow = at_second(95);
     }},
    {__LINE__, "guardrails.reclaim_cooldown",
     [](Config& c, State& s) {
       c.jobs[0].reclaim_cooldown = Duration{30'000};
       s.deployments[kRl].last_reclaim = at_second(95);
     }},
    {__LINE__, "guardrails.backoff",
     [](Config&, State& s) {
       s.deployments[kRl].failures = 3;
       s.deployments[kRl].last_failure = at_second(95);
     }},
    {__LINE__, "guardrails.quiet",
     [](Config& c, State& s) {
       c.pools[0].quiet_window = Duration{60'000};
       s.slack[kPool] = {{at_second(80), Gpus{3}}};
     }},
    {__LINE__, "guardrails.pinned",
     [](Config&, State& s) { s.overrides[OverrideId("o1")] = override_of(OverrideKind::pin, "rl@p", 3); }},
};

TEST(Guardrails, EachHoldsGrowthAndSaysSo) {
  for (const Guard& guard : kGuards) {
    Config config = small_config();
    State state;
    guard.arm(config, state);
    const Decision d = decide_on(quiet(100, 3), config, state);
    EXPECT_EQ(count_of(d, ActionKind::start, kRl), 0) << "guard at line " << guard.line << "\n" << story(d);
    EXPECT_TRUE(says(d, guard.rule)) << "guard at line " << guard.line << "\n" << story(d);
  }
}

TEST(Guardrails, WithoutThemItGrows) {
  EXPECT_EQ(count_of(decide_on(quiet(100, 3), small_config()), ActionKind::start, kRl), 4);
}

TEST(Guardrails, NoneOfThemHoldsBackAReclaim) {
  for (const Guard& guard : kGuards) {
    Config config = small_config();
    State state;
    guard.arm(config, state);
    const Decision d = decide_on(busy(100, 3), config, state);
    EXPECT_EQ(count_of(d, ActionKind::drain, kRl), 3) << "guard at line " << guard.line << "\n" << story(d);
  }
}

TEST(Guardrails, AReclaimTakesFromWhoIsFrozenOnlyWhatNobodyElseGives) {
  Config config = two_jobs(1, 1);
  config.pools[0].gpus = {9};
  config.jobs[0].demand = DemandKind::api;  // nothing was asked for: alone it would end its five
  const auto frozen = [&](const std::string& whom) {
    return decide_on(Seen(100).chat(16).replica("c1", kChat).replicas("r", kRl, 5).replicas("s", kSl, 3), config,
                     with(override_of(OverrideKind::freeze, whom)));
  };
  const Decision all = frozen("");
  EXPECT_EQ(count_of(all, ActionKind::drain, kRl), 1) << story(all);
  EXPECT_EQ(count_of(all, ActionKind::drain, kSl), 0) << story(all);
  EXPECT_TRUE(says(all, "guardrails.frozen")) << story(all);
  config.jobs[0].demand = DemandKind::unlimited;
  config.jobs[1].demand = DemandKind::api;
  const Decision one = frozen("rl");
  EXPECT_EQ(count_of(one, ActionKind::drain, kRl), 0) << story(one);
  EXPECT_EQ(count_of(one, ActionKind::drain, kSl), 3) << story(one);
}

TEST(Guardrails, AGrowthPolicyThatLendsAllIsNotSaidToHoldBack) {
  Config config = two_jobs(1, 1);
  config.pools[0].gpus = {8};
  // RL has all seven of slack and is frozen; the other one is due half of them.
  const Decision d = decide_on(quiet(100, 7), config, with(override_of(OverrideKind::freeze, "rl")));
  EXPECT_FALSE(says(d, "guardrails.growth")) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::start, kSl), 0) << story(d);
}

TEST(Guardrails, NoneOfThemHoldsBackProductionsGrowth) {
  for (const Guard& guard : kGuards) {
    Config config = small_config();
    State state;
    guard.arm(config, state);
    const Decision d = decide_on(Seen(100).chat(24).replica("c1", kChat), config, state);
    EXPECT_EQ(count_of(d, ActionKind::start, kChat), 2) << "guard at line " << guard.line << "\n" << story(d);
  }
}

/// Production is somebody else's, holds `held` replicas and asks for `asked`; RL holds five of the eight GPUs.
Decision waiting(int asked, int held, bool evict_when_short, State state = {}) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  config.services[0].deployments[0].fleet = FleetId();
  config.jobs[0].evict_when_short = evict_when_short;
  Seen seen(100);
  seen.chat(8.0 * held).replicas("r", kRl, 5);
  seen.workload().asked = Sample<Replicas>{{asked}, seen.now()};
  seen.workload().held = Sample<Replicas>{{held}, seen.now()};
  return decide_on(seen, config, std::move(state));
}

TEST(HardReclaim, WhatProductionWaitsForIsEvictedAndTheRestDrains) {
  const Decision soft = waiting(6, 3, false);
  EXPECT_EQ(count_of(soft, ActionKind::evict, kRl), 0);
  EXPECT_EQ(count_of(soft, ActionKind::drain, kRl), 3);
  const Decision hard = waiting(6, 3, true);
  EXPECT_EQ(count_of(hard, ActionKind::evict, kRl), 3) << story(hard);
  EXPECT_EQ(count_of(hard, ActionKind::drain, kRl), 0);
  EXPECT_TRUE(says(hard, "leases.hastened"));
}

TEST(HardReclaim, FreeGpusAreTakenFirst) {
  const Decision hard = waiting(4, 2, true);
  EXPECT_EQ(count_of(hard, ActionKind::evict, kRl), 1) << "two asked for, one of eight is free\n" << story(hard);
}

TEST(HardReclaim, WhoDrainsAlreadyIsHastenedOnce) {
  Decision first = waiting(6, 3, false);
  const Decision second = waiting(6, 3, true, first.next);
  EXPECT_EQ(count_of(second, ActionKind::evict, kRl), 3) << story(second);
  const Decision third = waiting(6, 3, true, second.next);
  EXPECT_EQ(count_of(third, ActionKind::evict, kRl), 0) << "what is on its way frees what is waited for";
}

TEST(HardReclaim, NobodyIsEvictedForANeedThatIsOnlyExpected) {
  const Decision hard = waiting(3, 3, true);
  EXPECT_EQ(count_of(hard, ActionKind::evict, kRl), 0) << story(hard);
}

TEST(Guardrails, EachLetsGoWhenItsTimeHasCome) {
  Config config = small_config();
  config.warm_up = Duration{60'000};
  config.jobs[0].grow_cooldown = config.jobs[0].reclaim_cooldown = Duration{30'000};
  State state;
  state.started_at = at_second(0);
  state.deployments[kRl].last_grow = state.deployments[kRl].last_reclaim = at_second(70);
  EXPECT_EQ(count_of(decide_on(quiet(99), config, state), ActionKind::start, kRl), 0);
  EXPECT_EQ(count_of(decide_on(quiet(100), config, state), ActionKind::start, kRl), 7);
}

TEST(Guardrails, GrowsStepByStep) {
  Config config = small_config();
  config.jobs[0].grow_step = {2};
  const Decision d = decide_on(quiet(100), config);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 2);
  EXPECT_TRUE(says(d, "guardrails.step"));
}

TEST(Guardrails, BackOffDoublesUpToItsLimit) {
  Config config = small_config();
  config.failures = {Duration{1'000}, Duration{8'000}};
  const auto starts_at = [&](int failures, double second) {
    State state;
    state.deployments[kRl].failures = failures;
    state.deployments[kRl].last_failure = at_second(100);
    return count_of(decide_on(quiet(second), config, state), ActionKind::start, kRl) > 0;
  };
  EXPECT_FALSE(starts_at(1, 100.9));
  EXPECT_TRUE(starts_at(1, 101));
  EXPECT_FALSE(starts_at(3, 103.9));
  EXPECT_TRUE(starts_at(3, 104));
  EXPECT_FALSE(starts_at(50, 107.9));
  EXPECT_TRUE(starts_at(50, 108));
}

TEST(Guardrails, FreezeKeepsWhatIsThereWhenDemandFalls) {
  State state = with(override_of(OverrideKind::freeze, ""));
  state.demand[JobId("rl")] = Demand{1.0, std::nullopt, at_second(0), at_second(1e6)};
  const Decision d = decide_on(quiet(100, 5), small_config(), state);
  EXPECT_EQ(count_of(d, ActionKind::drain, kRl), 0) << story(d);
}

TEST(Guardrails, FreezeKeepsProductionFromShrinking) {
  const Decision d =
      decide_on(Seen(100).chat(0).replicas("c", kChat, 4), small_config(), with(override_of(OverrideKind::freeze, "")));
  EXPECT_EQ(count_of(d, ActionKind::drain, kChat), 0) << story(d);
}

TEST(Guardrails, DrainAllEndsRlAndOnlyRl) {
  const Decision d = decide_on(quiet(100, 5), small_config(), with(override_of(OverrideKind::drain_all, "p")));
  EXPECT_EQ(count_of(d, ActionKind::drain, kRl), 5) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::drain, kChat), 0);
}

TEST(Guardrails, APinHoldsFewerAndMore) {
  EXPECT_EQ(count_of(decide_on(quiet(100, 5), small_config(), with(override_of(OverrideKind::pin, "rl", 2))),
                     ActionKind::drain, kRl),
            3);
  EXPECT_EQ(count_of(decide_on(quiet(100, 1), small_config(), with(override_of(OverrideKind::pin, "rl", 4))),
                     ActionKind::start, kRl),
            3);
}

TEST(Guardrails, APinNeverTakesFromProduction) {
  const Decision d = decide_on(Seen(100).chat(40).replicas("c", kChat, 5), small_config(),
                               with(override_of(OverrideKind::pin, "rl", 8)));
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 3) << story(d);
}

TEST(Guardrails, ALapsedOverrideIsForgotten) {
  const Decision d = decide_on(quiet(100), small_config(), with(override_of(OverrideKind::freeze, "", 0, 100)));
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 7);
  EXPECT_TRUE(d.next.overrides.empty());
}

TEST(Guardrails, TheQuietWindowRemembersTheSmallestSlack) {
  Config config = small_config();
  config.pools[0].quiet_window = Duration{30'000};
  State state = decide_on(Seen(100).chat(48).replicas("c", kChat, 1), config).next;
  state.leases.clear();
  const Decision soon = decide_on(quiet(120), config, state);
  EXPECT_EQ(count_of(soon, ActionKind::start, kRl), 2) << story(soon);
  state = soon.next;
  std::erase_if(state.leases, [](const auto& l) { return !l.second.seen; });
  EXPECT_EQ(count_of(decide_on(quiet(131), config, state), ActionKind::start, kRl), 7);
}

TEST(Admission, FollowsTheServingReplicas) {
  Config config = small_config();
  config.jobs[0].rollouts_per_replica = 10;
  Seen seen = quiet(100, 3);
  seen.replica("s1", kRl, ReplicaPhase::starting);
  EXPECT_EQ(decide_on(seen, config).admission.at(JobId("rl")), 30);
}

/// A start that is overdue: asked for at second 0, still starting.
State with_overdue_start(State state, const std::string& id) {
  Lease lease;
  lease.deployment = kRl;
  lease.since = lease.asked_at = at_second(0);
  lease.gpus = {1};
  lease.seen = true;
  state.leases[ReplicaId(id)] = lease;
  return state;
}

// Found by the simulator: seed 17, two days.
TEST(SlowStarts, AReplacementOfAnRlReplicaIsGrowthAndAFreezeHoldsIt) {
  Config config = small_config();
  config.jobs[0].deployments[0].start_timeout = Duration{60'000};
  const State state = with_overdue_start(with(override_of(OverrideKind::freeze, "")), "r1");
  const Seen seen = Seen(105).chat(8).replica("c1", kChat).replica("r1", kRl, ReplicaPhase::starting);
  const Decision decision = decide_on(seen, config, state);
  EXPECT_EQ(count_of(decision, ActionKind::evict, kRl), 1) << story(decision);
  EXPECT_EQ(count_of(decision, ActionKind::start, kRl), 0) << story(decision);
}

// Found by the simulator: seed 10, ten days.
TEST(SlowStarts, OneThatIsEndedCountsTowardsAShrinkingTarget) {
  Config config = small_config();
  config.jobs[0].deployments[0].start_timeout = Duration{60'000};
  const State state = with_overdue_start(State(), "r1");
  const Seen seen =
      Seen(105).chat(64).replica("c1", kChat).replica("r1", kRl, ReplicaPhase::starting).replica("r2", kRl);
  const Decision decision = decide_on(seen, config, state);
  EXPECT_EQ(count_of(decision, ActionKind::evict, kRl), 1) << story(decision);
  EXPECT_EQ(count_of(decision, ActionKind::drain, kRl), 1) << story(decision);
}

/// Remembers the start-up it was told, in seconds.
class StartUpProbe : public GrowthPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "start_up_probe"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] GrowthProposal propose(const GrowthInput& input) const override {
    return {input.slack, {1, {static_cast<double>(input.start_up.count()) / 1'000}}, {}};
  }
};

double start_up_told(const Decision& decision) { return decision.next.growth.at(kPool).numbers.at(0); }

TEST(Guardrails, TheGrowthPolicyIsToldHowLongAStartTook) {
  Config config = small_config();
  config.pools[0].growth = std::make_shared<StartUpProbe>();
  const Decision first = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  ASSERT_EQ(first.plan.actions.size(), 1U) << story(first);
  Seen seen(140);
  seen.chat(8).replica("c1", kChat);
  for (const ReplicaId& id : first.plan.actions[0].replicas) seen.replica(id.value, kRl);
  const Decision ready = decide_on(seen, config, first.next);
  EXPECT_EQ(start_up_told(decide_on(seen, config, ready.next)), 40);
}

TEST(Guardrails, TheAgeOfAnAdoptedReplicaIsNoStartUp) {
  Config config = small_config();
  config.pools[0].growth = std::make_shared<StartUpProbe>();
  Observation seen = quiet(86'400, 3).get();
  for (ReplicaSeen& replica : seen.fleets.at(kFleet).sample()->value.replicas) {
    // They began with the day, and the fleet tells when they were ready.
    if (replica.deployment == kRl) replica.since = replica.started_at + Duration{50'000};
  }
  State state;
  state.started_at = kStart;
  const Decision adopted = decide(seen, state, config, seen.at);
  ASSERT_TRUE(says(adopted, "leases.adopted"));
  EXPECT_EQ(start_up_told(decide(seen, adopted.next, config, seen.at)), 50);
}

TEST(Guardrails, LoadingOtherWeightsIsNoStartUp) {
  Config config = small_config();
  config.pools[0].growth = std::make_shared<StartUpProbe>();
  config.jobs[0].snapshots.enabled = true;
  const Decision first = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  State state = first.next;
  const auto look = [&](double second, double load, bool loaded) {
    Seen seen(second);
    seen.chat(load).replica("c1", kChat);
    for (const auto& [id, lease] : first.next.leases) {
      if (lease.deployment != kRl) continue;
      seen.replica(id.value, kRl);
      if (loaded) seen.raw().current[JobId("rl")].insert(id);
    }
    if (!loaded) seen.raw().current[JobId("rl")];
    const Decision decision = decide_on(seen, config, state);
    state = decision.next;
    return decision;
  };
  for (const auto& [second, loaded] : {std::pair{140.0, true}, {400.0, false}, {500.0, true}}) look(second, 8, loaded);
  EXPECT_EQ(start_up_told(look(505, 8, true)), 40);
  const Lease& lease = state.leases.rbegin()->second;
  EXPECT_EQ(lease.since, at_second(500));
  EXPECT_EQ(lease.start_took, Duration{40'000});
}

}  // namespace
}  // namespace ebb::testing
