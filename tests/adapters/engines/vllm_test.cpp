#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/adapters/engines/rig.hpp"

namespace ebb::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kAsync = LoadTransitionMode::async;
constexpr auto kSync = LoadTransitionMode::sync;

std::vector<std::string> weights_of(const emulator::CallOutcome& call) {
  std::vector<std::string> out;
  for (const emulator::WeightsUse& use : call.uses) out.push_back(use.weights);
  return out;
}

TEST(Vllm, AnAsyncSwapHoldsAStreamOnItsConnectionAndItGoesOnWithTheNewWeights) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  const std::string digest = rig.write("s1", 1);
  const auto call = rig.stream(one, 120);
  const WeightsReport done = rig.load(rig.order("s1"));
  EXPECT_EQ(done.stage, LoadStage::idle) << done.error;
  ASSERT_TRUE(done.current.has_value());
  EXPECT_EQ(done.current->value, "s1");
  EXPECT_EQ(one.weights().weights().digest, digest) << "what the trainer wrote is what the engine read";
  ASSERT_TRUE(rig.until([&] { return call->has_value(); }));
  EXPECT_EQ((*call)->end, emulator::CallEnd::ok) << (*call)->detail;
  EXPECT_EQ((*call)->tokens, 120);
  EXPECT_EQ((*call)->mismatches, 0);
  EXPECT_EQ(weights_of(**call), (std::vector<std::string>{"base", "s1"}));
  EXPECT_EQ(one.asked("POST /pause?mode=keep&clear_cache=false"), 1);
  EXPECT_EQ(one.asked("POST /reset_prefix_cache?reset_running_requests=true"), 1);
}

TEST(Vllm, ASyncSwapLetsStreamsEndOnTheOldWeightsFirst) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  rig.write("s1", 1);
  const auto call = rig.stream(one, 60);
  const WeightsReport done = rig.load(rig.order("s1", kSync));
  EXPECT_EQ(done.current->value, "s1");
  ASSERT_TRUE(rig.until([&] { return call->has_value(); }));
  EXPECT_EQ((*call)->tokens, 60);
  EXPECT_EQ(weights_of(**call), std::vector<std::string>{"base"});
  EXPECT_EQ(one.asked("POST /pause?mode=wait&clear_cache=true"), 1);
  EXPECT_EQ(one.asked("POST /reset_prefix_cache"), 0);
  EXPECT_EQ(rig.complete(one, "x").at("system_fingerprint"), "s1");
}

TEST(Vllm, TheCacheIsResetOrKeptAsTheOrderSays) {
  for (const LoadTransitionMode transition : {kAsync, kSync}) {
    for (const ResetCache reset : {ResetCache::all, ResetCache::none}) {
      SCOPED_TRACE(std::string(to_string(transition)) + " " + to_string(reset));
      EngineRig rig(HotloadKind::vllm);
      StandIn& one = rig.add();
      rig.write("s1", 1);
      rig.complete(one, "said before");
      EXPECT_EQ(EngineRig::cached(rig.complete(one, "said before")), 2);
      const auto call = rig.stream(one, 200);  // it holds blocks: a plain reset would do nothing
      EXPECT_EQ(rig.load(rig.order("s1", transition, reset)).current->value, "s1");
      EXPECT_EQ(EngineRig::cached(rig.complete(one, "said before")), reset == ResetCache::all ? 0 : 2);
      ASSERT_TRUE(rig.until([&] { return call->has_value(); }));
      EXPECT_EQ((*call)->mismatches, 0);
    }
  }
}

struct FaultRow {
  int line;
  const char* fault;
  const char* error;  ///< part of it
};

TEST(Vllm, AFailedUpdateIsReportedWithItsTargetAndTheEngineGoesOnWithItsOldWeights) {
  const FaultRow rows[] = {{__LINE__, "update-fails", "the update failed, as told"},
                           {__LINE__, "update-lies", "answered success, but reports the version 'base'"},
                           {__LINE__, "update-hangs", "time"}};
  for (const FaultRow& row : rows) {
    SCOPED_TRACE("line " + std::to_string(row.line) + ": " + row.fault);
    EngineRig rig(HotloadKind::vllm);
    rig.hotload.update_timeout = Duration{600};
    StandIn& one = rig.add();
    rig.write("s1", 1);
    one.fault(row.fault);
    const auto call = rig.stream(one, 100);
    rig.begin(rig.order("s1"));
    const WeightsReport failed = rig.settled();
    EXPECT_EQ(failed.stage, LoadStage::error);
    EXPECT_EQ(failed.target.value, "s1");
    EXPECT_THAT(failed.error, HasSubstr(row.error));
    EXPECT_NE(failed.current, Identity("s1"));
    ASSERT_TRUE(rig.run(rig.daemon().resume(rig.addresses(), rig.in(Duration{5'000}))).ok());
    EXPECT_FALSE(one.service().engine().is_paused());
    ASSERT_TRUE(rig.until([&] { return call->has_value(); }));
    EXPECT_EQ((*call)->tokens, 100);
    EXPECT_EQ(weights_of(**call), std::vector<std::string>{"base"});
    one.service().clear_faults();
    LoadOrder again = rig.order("s1");
    again.id += "again";
    EXPECT_EQ(rig.load(again).current, Identity("s1"));
  }
}

TEST(Vllm, AWrongVersionIsNoSuccessWhateverTheAnswer) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  rig.write("s1", 1);
  one.fault("update-wrong-version");
  const WeightsReport failed = rig.load(rig.order("s1"));
  EXPECT_EQ(failed.stage, LoadStage::error);
  EXPECT_THAT(failed.error, HasSubstr("reports the version 's1-other'"));
}

TEST(Vllm, AMissingOrTruncatedShardIsNamedAndNothingIsLoaded) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  for (const bool truncated : {true, false}) {
    const std::string name = truncated ? "short" : "gone";
    rig.write(name, 1);
    std::string shard;
    for (const auto& entry : std::filesystem::directory_iterator(rig.store / name)) {
      if (entry.path().extension() == ".safetensors") shard = entry.path();
    }
    truncated ? std::filesystem::resize_file(shard, std::filesystem::file_size(shard) - 1)
              : static_cast<void>(std::filesystem::remove(shard));
    const WeightsReport failed = rig.load(rig.order(name));
    EXPECT_EQ(failed.stage, LoadStage::error);
    EXPECT_THAT(failed.error, HasSubstr(std::filesystem::path(shard).filename().string()));
    EXPECT_EQ(rig.complete(one, "x").at("system_fingerprint"), "base");
  }
}

TEST(Vllm, APauseThatOneEngineRefusesTouchesNobodysWeights) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& good = rig.add();
  StandIn& bad = rig.add();
  rig.write("s1", 1);
  bad.fault("pause-fails");
  const LoadOrder order = rig.order("s1");
  const Status paused = rig.run(rig.daemon().pause(order, rig.addresses(), rig.in(Duration{5'000})));
  ASSERT_FALSE(paused.ok());
  EXPECT_EQ(paused.error().code, ErrorCode::internal);
  EXPECT_THAT(paused.error().what, HasSubstr("r1"));
  EXPECT_TRUE(good.service().engine().is_paused());
  EXPECT_TRUE(rig.run(rig.daemon().resume(rig.addresses(), rig.in(Duration{5'000}))).ok());
  EXPECT_FALSE(good.service().engine().is_paused());
  EXPECT_EQ(good.weights().loads_begun(), 0);
}

TEST(Vllm, AResumeIsTriedAgainUntilItsDeadline) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  rig.write("s1", 1);
  rig.begin(rig.order("s1"));
  EXPECT_EQ(rig.settled().current, Identity("s1"));
  one.fault("resume-fails");
  const auto resumed = start(rig.life->io, rig.daemon().resume(rig.addresses(), rig.in(Duration{10'000})));
  EXPECT_TRUE(rig.until([&] { return one.asked("POST /resume") >= 2; }));
  EXPECT_FALSE(resumed->has_value());
  one.service().clear_faults();
  ASSERT_TRUE(rig.until([&] { return resumed->has_value(); }));
  EXPECT_TRUE((*resumed)->ok());
  EXPECT_FALSE(one.service().engine().is_paused());
}

TEST(Vllm, AnEngineIsNotResumedWhileItsWeightsChange) {
  EngineRig rig(HotloadKind::vllm);
  rig.engine.updates.load_time_s = 0.5;
  StandIn& one = rig.add();
  rig.write("s1", 1);
  EXPECT_EQ(rig.report().current, Identity("base"));
  rig.begin(rig.order("s1"));
  const Status early = rig.run(rig.daemon().resume(rig.addresses(), rig.in(Duration{100})));
  EXPECT_FALSE(early.ok());
  EXPECT_TRUE(one.service().engine().is_paused());
  EXPECT_EQ(rig.report().stage, LoadStage::loading);
  EXPECT_EQ(rig.report().current, Identity("base"));
  EXPECT_EQ(rig.settled().current, Identity("s1"));
  EXPECT_TRUE(rig.run(rig.daemon().resume(rig.addresses(), rig.in(Duration{5'000}))).ok());
}

TEST(Vllm, WithoutDevModeItIsSaidWhatIsMissing) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  StandIn& two = rig.add();
  one.fault("no-dev-mode");
  const HotloadSeen seen = rig.look();
  ASSERT_EQ(seen.replicas.size(), 1u) << "the other one can be asked";
  EXPECT_THAT(seen.condition, HasSubstr("r0: GET /weight_info answers 404"));
  EXPECT_THAT(seen.condition, HasSubstr("VLLM_SERVER_DEV_MODE=1"));
  two.fault("no-dev-mode");
  const Result<HotloadSeen> nobody = rig.run(rig.daemon().look(rig.addresses(), rig.in(Duration{5'000})));
  ASSERT_FALSE(nobody.ok());
  EXPECT_THAT(nobody.error().what, HasSubstr("VLLM_SERVER_DEV_MODE=1"));
  const Status paused = rig.run(rig.daemon().pause(rig.order("s1"), rig.addresses(), rig.in(Duration{5'000})));
  ASSERT_FALSE(paused.ok());
  EXPECT_EQ(paused.error().code, ErrorCode::not_found) << "refused, not tried again";
}

TEST(Vllm, AnEngineThatDoesNotAnswerIsNotListed) {
  EngineRig rig(HotloadKind::vllm);
  rig.add();
  StandIn& two = rig.add();
  two.end();
  const HotloadSeen seen = rig.look();
  ASSERT_EQ(seen.replicas.size(), 1u);
  EXPECT_EQ(seen.replicas[0].replica.value, "r0");
  two.begin();
  EXPECT_EQ(rig.look().replicas.size(), 2u);
}

TEST(Vllm, AnEngineThatStandsStillForAnUnknownReasonIsShown) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  EXPECT_TRUE(rig.run(emulator::fetch(one.at(), "POST", "/pause?mode=keep", "", 5)).ok());
  EXPECT_THAT(rig.look().condition, HasSubstr("r0 stands still"));
  ASSERT_TRUE(rig.run(rig.daemon().resume(rig.addresses(), rig.in(Duration{5'000}))).ok());
  EXPECT_EQ(rig.look().condition, "");
}

TEST(Vllm, AnEarlyEngineIsUpdatedWithoutStartAndFinish) {
  for (const VllmUpdate how : {VllmUpdate::transfer, VllmUpdate::weight_dir}) {
    EngineRig rig(HotloadKind::vllm);
    rig.engine.updates.early = true;
    rig.hotload.vllm_update = how;
    StandIn& one = rig.add();
    rig.write("s1", 1);
    EXPECT_EQ(rig.load(rig.order("s1")).current, Identity("s1"));
    const char* body = how == VllmUpdate::transfer ? R"(POST /update_weights {"update_info":{"path":)"
                                                   : R"(POST /update_weights {"weight_dir":)";
    EXPECT_EQ(one.asked(body), 1);
    EXPECT_EQ(one.asked("POST /finish_weight_update"), 0);
    EXPECT_EQ(rig.complete(one, "x").at("system_fingerprint"), "s1");
  }
}

TEST(Vllm, AnEngineThatDiesInItsUpdateHasFailedAndIsMetAnewWithBaseWeights) {
  EngineRig rig(HotloadKind::vllm);
  rig.engine.updates.crash = [&rig] { rig.engines.front()->end(); };
  StandIn& one = rig.add();
  rig.write("s1", 1);
  const std::string before = rig.report().incarnation;
  EXPECT_NE(before, "");
  one.fault("crash-on-update");
  rig.begin(rig.order("s1"));
  ASSERT_TRUE(rig.until([&] { return !one.is_up(); }));
  ASSERT_TRUE(rig.until([&] { return rig.look().replicas.empty(); })) << "not listed once its update has broken off";
  one.begin();
  const WeightsReport back = rig.report();
  EXPECT_EQ(back.current, Identity("base"));
  EXPECT_NE(back.incarnation, before);
  EXPECT_EQ(back.stage, LoadStage::idle) << "what failed was the process before";
}

TEST(Vllm, ARestartedDaemonTakesAnUpdateOverThatWasCutOff) {
  EngineRig rig(HotloadKind::vllm);
  rig.engine.updates.load_time_s = 0.4;
  StandIn& one = rig.add();
  rig.write("s1", 1);
  EXPECT_EQ(rig.report().current, Identity("base"));
  rig.begin(rig.order("s1"));
  ASSERT_TRUE(rig.until([&] { return one.weights().is_loading(); }));
  // As after a kill: the engine goes on, and nobody names what it has loaded.
  rig.restart_daemon();
  const WeightsReport found = rig.report();
  EXPECT_EQ(found.stage, LoadStage::loading);
  EXPECT_EQ(found.target.value, "s1");
  EXPECT_FALSE(found.current.has_value()) << "it claims no weights while it may have parts of two";
  const LoadOrder order = rig.order("s1");
  ASSERT_TRUE(rig.run(rig.daemon().signal(order, rig.addresses(), rig.in(Duration{5'000}))).ok());
  EXPECT_EQ(rig.settled().current, Identity("s1"));
  EXPECT_EQ(one.weights().loads_begun(), 2) << "the one that nobody named, and the one that was";
  EXPECT_TRUE(rig.run(rig.daemon().resume(rig.addresses(), rig.in(Duration{5'000}))).ok());
  EXPECT_FALSE(one.service().engine().is_paused());
}

TEST(Vllm, AnEngineThatRunsOnAfterAnUpdateThatWasCutOffClaimsNoWeights) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  rig.write("s1", 1);
  one.fault("update-fails");
  EXPECT_EQ(rig.load(rig.order("s1")).stage, LoadStage::error);
  rig.restart_daemon();
  const HotloadSeen seen = rig.look();
  ASSERT_EQ(seen.replicas.size(), 1u);
  EXPECT_EQ(seen.replicas[0].stage, LoadStage::idle);
  EXPECT_FALSE(seen.replicas[0].current.has_value());
  EXPECT_THAT(seen.condition, HasSubstr("an update to s1 was begun and never finished"));
}

TEST(Vllm, TheSameOrderTwiceIsOneUpdate) {
  EngineRig rig(HotloadKind::vllm);
  StandIn& one = rig.add();
  rig.write("s1", 1);
  const LoadOrder order = rig.order("s1");
  rig.begin(order);
  ASSERT_TRUE(rig.run(rig.daemon().signal(order, rig.addresses(), rig.in(Duration{5'000}))).ok());
  EXPECT_EQ(rig.settled().current, Identity("s1"));
  EXPECT_EQ(one.weights().loads_begun(), 1);
}

TEST(Vllm, ALoraAdapterIsReplacedInPlaceAndReadBackByItsPath) {
  EngineRig rig(HotloadKind::vllm);
  rig.adapters = true;
  StandIn& one = rig.add();
  for (const char* name : {"a1", "a2"}) {
    std::filesystem::create_directories(rig.store / name);
    std::ofstream(rig.store / name + "/adapter_config.json") << "{}";
    std::ofstream(rig.store / name + "/adapter_model.safetensors", std::ios::binary)
        << emulator::safetensors(emulator::initial_weights(rig.shape, 3), {});
  }
  EXPECT_FALSE(rig.report().current.has_value());
  EXPECT_EQ(rig.load(rig.order("a1")).current, Identity("a1"));
  EXPECT_EQ(one.asked("POST /v1/load_lora_adapter {\"load_inplace\":true"), 0) << "the first one goes without";
  EXPECT_EQ(rig.load(rig.order("a2")).current, Identity("a2"));
  EXPECT_EQ(one.asked("POST /v1/load_lora_adapter {\"load_inplace\":true"), 1);
  EXPECT_EQ(rig.complete(one, "x", "policy").at("system_fingerprint"), "a2");
  EXPECT_EQ(rig.complete(one, "x").at("system_fingerprint"), "base");
  std::filesystem::remove(rig.store / "a1/adapter_model.safetensors");
  LoadOrder back = rig.order("a1");
  back.id += "2";
  EXPECT_THAT(rig.load(back).error, HasSubstr("adapter_model.safetensors"));
  EXPECT_EQ(rig.complete(one, "x", "policy").at("system_fingerprint"), "a2");
}

}  // namespace
}  // namespace ebb::test
