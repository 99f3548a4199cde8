// What is deleted from a store, when, and what never is.
#include <gtest/gtest.h>

#include "daemon/runtime/snapshot_pruner.hpp"
#include "tests/support/fake_hotload.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/run.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::test {
namespace {

const JobId kJob("rl");
constexpr Duration kHour{3'600'000};

Snapshot snapshot(const std::string& name) {
  Snapshot out;
  out.said.identity = Identity(name);
  out.phase = SnapshotPhase::serving;
  return out;
}

/// Shows a chain; trainers have nothing to ask here.
class ShownChain final : public Snapshots {
 public:
  std::vector<Snapshot> links, waiting;
  awaitable<Result<SnapshotPlan>> plan(JobId, std::string, std::optional<std::int64_t>) override { co_return none(); }
  awaitable<Result<Published>> publish(JobId, Publication) override { co_return none(); }
  awaitable<Result<Snapshot>> ended(JobId, Identity, TimePoint) override { co_return none(); }
  awaitable<Status> reset(JobId, std::string) override { co_return none(); }
  [[nodiscard]] Result<WeightsView> weights(const JobId&) const override {
    JobWeights state;
    state.chain.links = links;
    state.chain.waiting = waiting;
    WeightsView view;
    view.weights = std::make_shared<const JobWeights>(std::move(state));
    return view;
  }

 private:
  static Error none() { return {ErrorCode::internal, "not asked here", false}; }
};

struct Rig {
  VirtualClock clock{TimePoint{Duration{1'767'225'600'000}}};
  boost::asio::io_context io;
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  std::shared_ptr<Config> config = std::make_shared<Config>();
  std::shared_ptr<SnapshotWiring> wiring = std::make_shared<SnapshotWiring>();
  MemoryWeightsLedger ledger;
  ShownChain chain;
  SnapshotPruner pruner{io.get_executor(),
                        {clock, ledger, chain, [this] { return config; }, [this] { return wiring; }}};

  Rig() {
    config->mode = Mode::act;
    JobConfig job;
    job.name = kJob;
    job.snapshots.enabled = true;
    job.snapshots.prune_after = kHour;
    config->jobs.push_back(job);
    wiring->stores[kJob] = store;
    for (const char* name : {"old", "full", "next"}) add(name);
    chain.links = {snapshot("full"), snapshot("next")};
  }
  void add(const std::string& name) {
    store->snapshots[Identity(name)] = model_files(1);
    ledger.rows[Identity(name)] = snapshot(name);
  }
  void pass(Duration span) {
    if (!started_) spawn(io.get_executor(), pruner.run());
    started_ = true;
    clock.run_for(io, span);
  }
  [[nodiscard]] std::vector<std::string> there() const {
    std::vector<std::string> out;
    for (const auto& [identity, files] : store->snapshots) out.push_back(identity.value);
    return out;
  }

 private:
  bool started_ = false;
};

using Names = std::vector<std::string>;

TEST(Pruner, DeletesWhatNoChainHasNeededForSoLongAndNothingElse) {
  Rig rig;
  rig.pass(kHour - Duration{60'000});
  EXPECT_EQ(rig.there(), (Names{"full", "next", "old"}));
  rig.pass(Duration{600'000});
  EXPECT_EQ(rig.there(), (Names{"full", "next"}));
}

TEST(Pruner, ByDefaultNothingIsEverDeleted) {
  Rig rig;
  rig.config->jobs[0].snapshots.prune_after = Duration{0};
  rig.pass(24 * kHour);
  EXPECT_EQ(rig.there(), (Names{"full", "next", "old"}));
}

TEST(Pruner, ADaemonThatOnlyAdvisesDeletesNothing) {
  Rig rig;
  rig.config->mode = Mode::advise;
  rig.pass(24 * kHour);
  EXPECT_EQ(rig.there(), (Names{"full", "next", "old"}));
}

TEST(Pruner, WhatWasNeverPublishedIsNotItsBusiness) {
  Rig rig;
  rig.store->snapshots[Identity("uploading")] = model_files(1);
  rig.pass(24 * kHour);
  EXPECT_EQ(rig.there(), (Names{"full", "next", "uploading"}));
}

TEST(Pruner, WhatIsNeededAgainStartsAnew) {
  Rig rig;
  rig.pass(kHour / 2);
  rig.chain.waiting = {snapshot("old")};
  rig.pass(kHour / 2);
  rig.chain.waiting.clear();
  rig.pass(kHour - Duration{60'000});
  EXPECT_EQ(rig.there(), (Names{"full", "next", "old"}));
  rig.pass(kHour / 2);
  EXPECT_EQ(rig.there(), (Names{"full", "next"}));
}

TEST(Pruner, TheWholeChainGoesOnceAnotherFullSnapshotServes) {
  Rig rig;
  rig.add("later");
  rig.chain.links = {snapshot("later")};
  rig.pass(2 * kHour);
  EXPECT_EQ(rig.there(), Names{"later"});
}

}  // namespace
}  // namespace ebb::test
