// Random walks: publishing, failures, joins, drains, restarts, lost answers, crashes and resets, from a printed seed.
// I5 to I8 are checked against what the engines really hold, not against what the decision believes. Then everything
// heals, and a full snapshot must reach everybody.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "tests/core/hotload_rig.hpp"

namespace ebb::testing {
namespace {

/// The rules again, from the engines' point of view.
class Judge {
 public:
  explicit Judge(Rig& rig) : rig_(rig) {}

  /// I5, I7: what arrives fits what is there, and nothing else is under way.
  void arrives(const LoadOrder& order) {
    for (const ReplicaId& name : order.replicas) {
      const auto at = rig_.world[order.deployment].find(name);
      if (at == rig_.world[order.deployment].end()) continue;
      // One that was given up is outstanding no more. Only the vendor could end it, so only a full one may follow.
      const bool given_up = !rig_.fleets[order.deployment].by_replica && order.path.front().full() &&
                            rig_.now - told_[name] >= rig_.config.load_timeout;
      EXPECT_TRUE(at->second.applying.empty() || given_up) << "I7: " << name.value << " is loading already";
      told_[name] = rig_.state.deployments.at(order.deployment).load.began;
      EXPECT_FALSE(rig_.seen.leaving.contains(name)) << "I7: " << name.value << " drains";
      Identity held = at->second.weights.empty() ? Identity() : at->second.weights.back();
      for (const Snapshot& snapshot : order.path) {
        EXPECT_TRUE(snapshot.full() || snapshot.said.parent == held)
            << "I5: " << snapshot.identity().value << " onto '" << held.value << "' of " << name.value;
        held = snapshot.identity();
      }
    }
  }

  /// I6: the first and the one after any failure are full, and never more than 30 since the last full one.
  void accepted(const Publication& said) {
    order_[said.identity] = ++accepted_;
    if (said.kind == SnapshotKind::full) {
      last_full_ = accepted_;
      since_full_ = 0;
      broken_ = false;
      return;
    }
    EXPECT_FALSE(broken_) << "I6: " << said.identity.value << " is incremental after a failure";
    EXPECT_LE(++since_full_, 30) << "I6";
  }
  void changed(const Snapshot& snapshot) {
    if (snapshot.phase == SnapshotPhase::serving) served_.push_back(snapshot.identity());
    const bool bad = snapshot.phase == SnapshotPhase::failed || snapshot.phase == SnapshotPhase::rejected;
    // A full one that was published after it is the new ground already.
    if (bad && last_full_ <= order_[snapshot.identity()]) broken_ = true;
    if (snapshot.phase == SnapshotPhase::loading) loading_ = snapshot.identity();
    if (snapshot.phase == SnapshotPhase::serving && snapshot.full()) strays_.clear();
    if (snapshot.phase == SnapshotPhase::failed) strays_.insert(snapshot.identity());
  }
  void was_reset() {
    broken_ = true;
    served_.clear();
    strays_.clear();
    loading_ = Identity();
  }

  /// I8: whoever may serve really holds weights that are new enough.
  void serving() const {
    for (const auto& [id, deployment] : rig_.state.deployments) {
      for (const auto& [name, replica] : deployment.replicas) {
        const auto at = rig_.world[id].find(name);
        if (at == rig_.world[id].end() || !may_serve(rig_.state.chain, replica, rig_.config, rig_.fleets.at(id)))
          continue;
        if (rig_.unreadable.contains(id) || at->second.weights.empty()) continue;  // crashed since the last look
        const Identity& held = at->second.weights.back();
        const auto newest = served_.size();
        bool admissible = held == loading_ || strays_.contains(held);
        for (std::size_t back = 1; back <= newest && back <= 2; ++back)
          admissible = admissible || served_[newest - back] == held;
        EXPECT_TRUE(admissible) << "I8: " << name.value << " serves " << held.value;
      }
    }
  }

 private:
  Rig& rig_;
  std::map<ReplicaId, TimePoint> told_;  ///< when the newest order was given
  std::map<Identity, int> order_;
  int accepted_ = 0;
  int last_full_ = 0;
  int since_full_ = 0;
  bool broken_ = true;
  std::vector<Identity> served_;
  std::set<Identity> strays_;  ///< failed, and yet some engine may have taken them whole
  Identity loading_;
};

struct Walk {
  std::mt19937_64 random;
  Rig rig;
  Judge judge;
  int names = 0;
  std::vector<std::string> verifying;

  explicit Walk(std::uint64_t seed) : random(seed), rig(static_cast<int>(seed % 5), seed % 3 != 0), judge(rig) {
    const DeploymentId other("rl@other");
    rig.fleets[other] = rig.fleets[Rig::deployment()];
    rig.fleets[other].replays_chain = chance(0.5);
    rig.fleets[Rig::deployment()].keeps_old_on_error = chance(0.5);
    rig.add(other, "x0");
    rig.config.ready_fraction = chance(0.5) ? 1 : 0.5;
    rig.config.max_unavailable = chance(0.5) ? 1 : 0.3;
    rig.config.load_timeout = Duration{30'000};
    rig.config.catch_up_timeout = Duration{20'000};
    rig.config.verify_timeout = Duration{20'000};
    rig.full_every = 20 + static_cast<int>(below(11));
  }

  std::uint64_t below(std::uint64_t n) { return random() % n; }
  bool chance(double p) { return static_cast<double>(below(1'000'000)) < p * 1e6; }

  void take(WeightsDraft draft) {
    const std::size_t before = rig.changed.size();
    rig.take(std::move(draft));
    for (std::size_t i = before; i < rig.changed.size(); ++i) judge.changed(rig.changed[i]);
  }

  void publish() {
    const auto step = planned(rig.state.chain, "", std::nullopt, {rig.full_every, "walk"}, {}, false);
    ASSERT_TRUE(step.ok());
    const bool rude = chance(0.1);  // a trainer that does not do as it was told
    const SnapshotPlan plan = *step->chain.planned;
    const Snapshot* last = tip(rig.state.chain);
    std::string parent = plan.parent.value;
    if (rude) parent = last == nullptr || chance(0.5) ? "nonsense" : last->identity().value;
    const std::string name = "s" + std::to_string(++names);
    Publication said;
    said.kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
    said.identity = Identity(name);
    if (rig.publish(name, parent, false).ok()) {
      judge.accepted(said);
      verifying.push_back(name);
      if (chance(0.1)) rig.bad.insert(Identity(name));
    }
  }

  void verify() {
    for (auto at = verifying.begin(); at != verifying.end();) {
      if (chance(0.5)) {
        ++at;
        continue;
      }
      WeightsDraft draft;
      draft.state = rig.state;
      const bool whole = chance(0.95);
      move_chain(draft, Identity(*at), whole ? SnapshotEvent::verified : SnapshotEvent::rejected, "", rig.now);
      take(std::move(draft));
      at = verifying.erase(at);
    }
  }

  void disturb() {
    for (auto& [id, engines] : rig.world) {
      if (chance(0.03)) rig.add(id, "n" + std::to_string(++names));
      for (auto at = engines.begin(); at != engines.end();) {
        if (chance(0.01)) rig.seen.leaving.insert(at->first);
        if (chance(0.005)) at->second.stubborn = !at->second.stubborn;
        if (chance(0.01)) {  // a crash: the process begins with the base weights
          ++at->second.process;
          at->second.weights.clear();
          at->second.applying.clear();
          at->second.failed = Identity();
        }
        const bool leaves = rig.seen.leaving.contains(at->first) && chance(0.3);
        at = leaves ? engines.erase(at) : std::next(at);
      }
      if (chance(0.03)) rig.unreadable.insert(id);
      if (chance(0.5)) rig.unreadable.erase(id);
    }
    if (chance(0.005)) {
      take(reset(std::move(rig.state), rig.now));
      judge.was_reset();
      verifying.clear();
    }
    if (chance(0.01)) take(recovered(std::move(rig.state), rig.now));
  }

  void send(double trouble) {
    for (const LoadOrder& order : rig.due()) {
      const bool arrives = !chance(trouble);
      if (arrives) {
        judge.arrives(order);
        rig.apply(order);
      }
      LoadEvent event = arrives ? LoadEvent::accepted : chance(0.3) ? LoadEvent::refused : LoadEvent::put_off;
      if (chance(trouble)) event = LoadEvent::unanswered;
      take(answered(std::move(rig.state), order.deployment, order.id, event, "trouble", rig.config, rig.now));
    }
  }

  void pass(double trouble) {
    rig.work();
    rig.poll();
    const WeightsInput in{rig.job, rig.config, rig.fleets, rig.seen, rig.full_every, rig.now};
    take(advance(std::move(rig.state), in));
    send(trouble);
    judge.serving();
    rig.now += rig.config.poll_interval;
  }

  void heal() {
    rig.unreadable.clear();
    rig.bad.clear();
    for (auto& [id, engines] : rig.world) {
      std::erase_if(engines, [&](const auto& entry) { return rig.seen.leaving.contains(entry.first); });
      for (auto& [name, engine] : engines) engine.stubborn = false;
    }
    for (int i = 0; i < 200 || (i < 3'000 && !rig.state.chain.waiting.empty()); ++i) {
      verify();
      pass(0);
    }
    EXPECT_TRUE(rig.state.chain.waiting.empty()) << "something never ends";
  }
};

TEST(HotloadProperty, RandomWalksKeepTheInvariantsAndHeal) {
  const char* given = std::getenv("EBB_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t count = given != nullptr ? 1 : 60;
  for (std::uint64_t seed = first; seed < first + count && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " (EBB_SEED repeats it)");
    Walk walk(seed);
    for (int i = 0; i < 600; ++i) {
      if (walk.chance(0.2)) walk.publish();
      walk.verify();
      walk.disturb();
      walk.pass(0.05);
    }
    walk.heal();
    ASSERT_TRUE(walk.rig.publish("last").ok());
    walk.verifying.emplace_back("last");
    Publication last;
    last.identity = Identity("last");
    walk.judge.accepted(last);
    WeightsDraft draft;
    draft.state = walk.rig.state;
    move_chain(draft, Identity("last"), SnapshotEvent::verified, "", walk.rig.now);
    walk.take(std::move(draft));
    walk.verifying.clear();
    for (int i = 0; i < 200; ++i) walk.pass(0);
    EXPECT_EQ(walk.rig.phase_of("last"), "serving");
    for (const auto& [id, engines] : walk.rig.world) {
      for (const auto& [name, engine] : engines) {
        ASSERT_FALSE(engine.weights.empty()) << name.value;
        EXPECT_EQ(engine.weights.back().value, "last") << name.value;
      }
    }
  }
}

}  // namespace
}  // namespace ebb::testing
