#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/adapters/engines/rig.hpp"
#include "tests/emulators/engine/delta_pull.hpp"

namespace ebb::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kAsync = LoadTransitionMode::async;

bool nobody_aborts(StandIn& one) {
  for (const std::string& call : one.weights().calls()) {
    const bool names = call.starts_with("POST /update_weight_version") || call.starts_with("POST /update_weights");
    if (names && call.find("\"abort_all_requests\":false") == std::string::npos) return false;
  }
  return one.service().engine().metrics().aborted == 0;
}

TEST(Sglang, AStreamIsFrozenInPlaceAndGoesOnWhereNothingIsReset) {
  EngineRig rig(HotloadKind::sglang);
  StandIn& one = rig.add();
  const std::string digest = rig.write("s1", 1);
  rig.complete(one, "said before");
  const auto call = rig.stream(one, 120);
  const WeightsReport done = rig.load(rig.order("s1", kAsync, ResetCache::none));
  EXPECT_EQ(done.current, Identity("s1")) << done.error;
  EXPECT_EQ(one.weights().weights().digest, digest);
  EXPECT_EQ(one.asked("POST /pause_generation {\"mode\":\"in_place\"}"), 1);
  EXPECT_EQ(one.asked("POST /flush_cache"), 0);
  EXPECT_EQ(EngineRig::cached(rig.complete(one, "said before")), 2);
  ASSERT_TRUE(rig.until([&] { return call->has_value(); }));
  EXPECT_EQ((*call)->tokens, 120);
  EXPECT_EQ((*call)->mismatches, 0);
  ASSERT_EQ((*call)->uses.size(), 2u);
  EXPECT_EQ((*call)->uses[1].weights, "s1");
  EXPECT_TRUE(nobody_aborts(one));
}

TEST(Sglang, RetractedStreamsSurviveAResetOfTheCache) {
  EngineRig rig(HotloadKind::sglang);
  StandIn& one = rig.add();
  rig.write("s1", 1);
  rig.complete(one, "said before");
  const auto call = rig.stream(one, 120);
  EXPECT_EQ(rig.load(rig.order("s1")).current, Identity("s1"));
  EXPECT_EQ(one.asked("POST /pause_generation {\"mode\":\"retract\"}"), 1);
  EXPECT_EQ(one.asked("POST /flush_cache"), 1);
  EXPECT_EQ(EngineRig::cached(rig.complete(one, "said before")), 0);
  ASSERT_TRUE(rig.until([&] { return call->has_value(); }));
  EXPECT_EQ((*call)->tokens, 120);
  EXPECT_EQ((*call)->mismatches, 0);
  EXPECT_TRUE(nobody_aborts(one));
}

TEST(Sglang, AFlushThatIsRefusedIsTriedAgainAndThenFailsBeforeAnyWeightIsTouched) {
  EngineRig rig(HotloadKind::sglang);
  rig.engine.updates.retract_cannot_flush = true;
  rig.hotload.update_timeout = Duration{900};
  StandIn& one = rig.add();
  rig.write("s1", 1);
  const auto call = rig.stream(one, 150);
  const WeightsReport failed = rig.load(rig.order("s1"));
  EXPECT_EQ(failed.stage, LoadStage::error);
  EXPECT_THAT(failed.error, HasSubstr("Flush cache failed"));
  EXPECT_EQ(failed.current, Identity("base")) << "it says again what it has, since nothing was touched";
  EXPECT_GE(one.asked("POST /flush_cache"), 2);
  EXPECT_EQ(one.weights().loads_begun(), 0);
  ASSERT_TRUE(rig.until([&] { return call->has_value(); }));
  EXPECT_EQ((*call)->tokens, 150);
  EXPECT_EQ((*call)->uses.size(), 1u);
}

TEST(Sglang, FailuresAreReadFromTheBodyAndTheVersion) {
  struct Row {
    int line;
    const char* fault;
    const char* error;
  };
  const Row rows[] = {{__LINE__, "update-fails", "the update failed, as told"},
                      {__LINE__, "update-lies", "answered success, but reports the version 'base'"},
                      {__LINE__, "update-wrong-version", "reports the version 's1-other'"}};
  for (const Row& row : rows) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    EngineRig rig(HotloadKind::sglang);
    StandIn& one = rig.add();
    rig.write("s1", 1);
    one.fault(row.fault);
    const WeightsReport failed = rig.load(rig.order("s1"));
    EXPECT_EQ(failed.stage, LoadStage::error);
    EXPECT_EQ(failed.target.value, "s1");
    EXPECT_THAT(failed.error, HasSubstr(row.error));
    EXPECT_FALSE(one.service().engine().is_paused());
    EXPECT_TRUE(nobody_aborts(one));
  }
}

TEST(Sglang, ARestartedDaemonWaitsForTheUpdateThatIsUnderWayAndDoesNotRepeatIt) {
  EngineRig rig(HotloadKind::sglang);
  rig.engine.updates.load_time_s = 0.6;
  StandIn& one = rig.add();
  rig.write("s1", 1);
  EXPECT_EQ(rig.report().current, Identity("base"));
  rig.begin(rig.order("s1"));
  ASSERT_TRUE(rig.until([&] { return one.weights().is_loading(); }));
  rig.restart_daemon();
  const WeightsReport found = rig.report();
  EXPECT_EQ(found.stage, LoadStage::loading);
  EXPECT_EQ(found.target.value, "s1");
  EXPECT_EQ(found.current, Identity("base"));
  EXPECT_EQ(rig.settled().current, Identity("s1"));
  EXPECT_EQ(one.weights().loads_begun(), 1);
  EXPECT_TRUE(rig.run(rig.daemon().resume(rig.addresses(), rig.in(Duration{5'000}))).ok());
}

TEST(Sglang, AnUpdateOfAnEarlierDaemonThatNeverEndsLeavesTheEngineWithoutWeightsToClaim) {
  EngineRig rig(HotloadKind::sglang);
  rig.hotload.update_timeout = Duration{400};
  StandIn& one = rig.add();
  rig.write("s1", 1);
  one.fault("update-hangs");
  rig.begin(rig.order("s1"));
  ASSERT_TRUE(rig.until([&] { return one.weights().is_loading(); }));
  rig.restart_daemon();
  EXPECT_EQ(rig.report().stage, LoadStage::loading);
  const WeightsReport found = rig.settled();
  EXPECT_EQ(found.stage, LoadStage::idle) << "it may never have been sent, and is to be told again";
  EXPECT_FALSE(found.current.has_value());
}

TEST(Sglang, TheAdminKeyIsSent) {
  ::setenv("EBB_TEST_ADMIN_KEY", "open sesame", 1);
  EngineRig rig(HotloadKind::sglang);
  rig.engine.updates.admin_key = "open sesame";
  rig.add();
  const Result<HotloadSeen> shut = rig.run(rig.daemon().look(rig.addresses(), rig.in(Duration{5'000})));
  ASSERT_FALSE(shut.ok());
  EXPECT_THAT(shut.error().what, HasSubstr("401"));
  rig.hotload.endpoint.bearer_token.where = "env:EBB_TEST_ADMIN_KEY";
  rig.restart_daemon();
  rig.write("s1", 1);
  EXPECT_EQ(rig.load(rig.order("s1")).current, Identity("s1"));
}

TEST(Sglang, TheEngineItselfPullsAFullSnapshotAndIncrementsOnTopOfIt) {
  for (const auto encoding : {emulator::DeltaEncoding::exclusive_or, emulator::DeltaEncoding::overwrite}) {
    EngineRig rig(HotloadKind::sglang);
    const TempDir local;
    rig.hotload.weights_from = WeightsFrom::engine;
    rig.hotload.checkpoint_dir = local.path();
    StandIn& one = rig.add();
    const auto checksum = encoding == emulator::DeltaEncoding::overwrite ? emulator::ChecksumFormat::xxh3_128
                                                                         : emulator::ChecksumFormat::adler32;
    const emulator::SnapshotWriter writer(rig.shape, encoding, checksum);
    emulator::Weights weights = emulator::initial_weights(rig.shape, 7);
    ASSERT_TRUE(writer.full(rig.store / "weight_v000000", weights, 0).ok());
    EXPECT_EQ(rig.load(rig.order("weight_v000000")).current, Identity("weight_v000000"));
    for (int step = 1; step <= 3; ++step) {
      const emulator::Weights base = weights;
      weights = emulator::after_step(weights, 7, step);
      const std::string name = "weight_v00000" + std::to_string(step);
      ASSERT_TRUE(writer.incremental(rig.store / name, weights, step, base, step - 1, false).ok());
      if (step == 1) continue;  // two at once
      EXPECT_EQ(rig.load(rig.order(name)).current, Identity(name));
      EXPECT_EQ(one.weights().weights().digest, emulator::digest_of(weights));
      EXPECT_EQ(emulator::pulled_version(local.path()), step);
    }
  }
}

TEST(Sglang, WhatTheEngineCannotPullIsRefusedBeforeThePause) {
  EngineRig rig(HotloadKind::sglang);
  const TempDir local;
  rig.hotload.weights_from = WeightsFrom::engine;
  rig.hotload.checkpoint_dir = local.path();
  StandIn& one = rig.add();
  const Status odd = rig.run(rig.daemon().stage(rig.order("step-7"), rig.addresses(), rig.in(Duration{5'000})));
  ASSERT_FALSE(odd.ok());
  EXPECT_EQ(odd.error().code, ErrorCode::invalid);
  EXPECT_THAT(odd.error().what, HasSubstr("weight_v and six digits, not step-7"));
  const emulator::SnapshotWriter writer(rig.shape, emulator::DeltaEncoding::exclusive_or,
                                        emulator::ChecksumFormat::adler32);
  const emulator::Weights base = emulator::initial_weights(rig.shape, 7);
  ASSERT_TRUE(writer.full(rig.store / "weight_v000000", base, 0).ok());
  const emulator::Weights next = emulator::after_step(base, 7, 1);
  ASSERT_TRUE(writer.incremental(rig.store / "weight_v000001", next, 1, base, 0, true).ok());
  const LoadOrder order = rig.order("weight_v000001");
  const Status damaged = rig.run(rig.daemon().stage(order, rig.addresses(), rig.in(Duration{5'000})));
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, ErrorCode::invalid);
  EXPECT_THAT(damaged.error().what, HasSubstr("checksum"));
  EXPECT_EQ(one.asked("POST /pause_generation"), 0);
}

TEST(Sglang, ALoraAdapterIsUnloadedAndLoadedAndTheOldOneComesBackWhenTheNewOneDoesNotLoad) {
  EngineRig rig(HotloadKind::sglang);
  rig.adapters = true;
  StandIn& one = rig.add();
  for (const char* name : {"a1", "a2"}) {
    std::filesystem::create_directories(rig.store / name);
    std::ofstream(rig.store / name + "/adapter_config.json") << "{}";
    std::ofstream(rig.store / name + "/adapter_model.safetensors", std::ios::binary)
        << emulator::safetensors(emulator::initial_weights(rig.shape, 3), {});
  }
  EXPECT_EQ(rig.load(rig.order("a1")).current, Identity("a1"));
  EXPECT_EQ(rig.load(rig.order("a2")).current, Identity("a2"));
  EXPECT_EQ(rig.complete(one, "x", "policy").at("system_fingerprint"), "a2");
  std::filesystem::remove(rig.store / "a1/adapter_model.safetensors");
  LoadOrder back = rig.order("a1");
  back.id += "2";
  const WeightsReport failed = rig.load(back);
  EXPECT_EQ(failed.stage, LoadStage::error);
  EXPECT_EQ(failed.current, Identity("a2"));
  EXPECT_EQ(rig.complete(one, "x", "policy").at("system_fingerprint"), "a2");
}

}  // namespace
}  // namespace ebb::test
