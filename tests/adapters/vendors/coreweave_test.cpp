// The CoreWeave adapter against the stand-in.
#include "adapters/coreweave/coreweave_hotload.hpp"

#include <gmock/gmock.h>

#include "tests/adapters/vendors/rig.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CoreweaveAdapter : public testing::Test {
 protected:
  CoreweaveAdapter() { rig.clock.skip(Duration{10'000}); }
  std::shared_ptr<CoreweaveHotload> make() {
    CoreweaveHotload::Options options;
    options.config = rig.coreweave_config();
    return std::make_shared<CoreweaveHotload>(std::move(options), rig.http, rig.clock);
  }
  Status signal(CoreweaveHotload& hotload, LoadOrder order, Duration within = Duration{60'000}) {
    return rig.ask(hotload.signal(std::move(order), {}, rig.clock.now() + within));
  }
  Result<HotloadSeen> look(CoreweaveHotload& hotload) {
    return rig.ask(hotload.look({}, rig.clock.now() + Duration{5'000}));
  }
  void turn(const char* name, const json& value) {
    json knobs;
    knobs[name] = value;
    ASSERT_TRUE(rig.coreweave.knobs().set(knobs).ok());
  }
  VendorRig rig;
};

TEST_F(CoreweaveAdapter, WritesTheBodiesThatTheApiDocuments) {
  rig.coreweave.create(kUuid, 1);
  const auto hotload = make();
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  json spec = rig.coreweave.hot_loads().back().spec;
  EXPECT_EQ(spec["type"], "SNAPSHOT_TYPE_FULL");
  EXPECT_EQ(spec["promptCachePolicy"], "PROMPT_CACHE_POLICY_RESET_ALL") << "their default is the opposite";
  EXPECT_FALSE(spec.contains("incrementalSnapshotMetadata"));
  rig.run(Duration{2'000});
  LoadOrder delta = order_of("b", "a");
  delta.reset_cache = ResetCache::none;
  ASSERT_EQ(code_of(signal(*hotload, delta)), "ok");
  spec = rig.coreweave.hot_loads().back().spec;
  EXPECT_EQ(spec["type"], "SNAPSHOT_TYPE_INCREMENTAL");
  EXPECT_EQ(spec["promptCachePolicy"], "PROMPT_CACHE_POLICY_PRESERVE");
  EXPECT_EQ(spec["incrementalSnapshotMetadata"]["previousSnapshotIdentity"], "a");
  delta.reset_cache = ResetCache::new_session;
  EXPECT_EQ(code_of(signal(*hotload, delta)), "invalid");
}

TEST_F(CoreweaveAdapter, BeforeTheFirstHotLoadAReadyDeploymentStandsForItsReplicas) {
  const auto hotload = make();
  EXPECT_EQ(look(*hotload).error().code, ErrorCode::not_found);
  rig.coreweave.create(kUuid, 3);
  auto seen = look(*hotload);
  ASSERT_EQ(seen->replicas.size(), 1u);
  EXPECT_TRUE(seen->replicas[0].ready);
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  seen = look(*hotload);
  ASSERT_EQ(seen->replicas.size(), 3u);
  EXPECT_EQ(seen->replicas[0].stage, LoadStage::loading);
  EXPECT_EQ(seen->replicas[0].target, Identity("a"));
  rig.run(Duration{1'100});
  seen = look(*hotload);
  EXPECT_EQ(seen->replicas[0].current, Identity("a"));
  EXPECT_EQ(seen->replicas[0].stage, LoadStage::idle);
  EXPECT_EQ(seen->replicas[2].stage, LoadStage::loading) << "one after the other";
}

TEST_F(CoreweaveAdapter, ReadsEveryPageOfReplicas) {
  rig.coreweave.create(kUuid, 23);
  turn("page_most", 5);
  const auto hotload = make();
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  const auto seen = look(*hotload);
  ASSERT_TRUE(seen.ok()) << seen.error().what;
  EXPECT_EQ(seen->replicas.size(), 23u);
  EXPECT_EQ(rig.http.count("GET", "/replicas"), 5u);
}

TEST_F(CoreweaveAdapter, TheSameOrderTwiceIsOneHotLoad) {
  rig.coreweave.create(kUuid, 1);
  turn("create_faults", json::array({"lost"}));
  const auto hotload = make();
  EXPECT_EQ(code_of(signal(*hotload, order_of("a"))), "internal");
  ASSERT_EQ(rig.coreweave.hot_loads().size(), 1u);
  EXPECT_EQ(code_of(signal(*hotload, order_of("a"))), "ok") << "it was taken, and it is ours";
  EXPECT_EQ(code_of(signal(*make(), order_of("a"))), "ok") << "also after a restart";
  EXPECT_EQ(rig.coreweave.hot_loads().size(), 1u);
  LoadOrder other = order_of("a");
  other.path.front().said.identity = Identity("z");
  EXPECT_EQ(code_of(signal(*hotload, other)), "conflict") << "the same id with other words";
}

TEST_F(CoreweaveAdapter, IdsAreUuidsThatFollowFromTheOrder) {
  const std::string id = coreweave::hot_load_id(order_of("a"));
  EXPECT_THAT(id, testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(coreweave::hot_load_id(order_of("a")), id);
  EXPECT_NE(coreweave::hot_load_id(order_of("a", "", 2)), id);
  LoadOrder job = order_of("a");
  job.job = JobId("other");
  EXPECT_NE(coreweave::hot_load_id(job), id);
}

TEST_F(CoreweaveAdapter, TheInterlockPutsASignalOffInEitherShape) {
  rig.coreweave.create(kUuid, 1);
  const auto hotload = make();
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  for (const char* shape : {"connect", "gateway"}) {
    for (const int status : {400, 409}) {
      turn("error_shape", shape);
      turn("interlock_status", status);
      EXPECT_EQ(code_of(signal(*hotload, order_of("b"))), "exhausted") << shape << status;
    }
  }
  rig.run(Duration{2'000});
  EXPECT_EQ(code_of(signal(*hotload, order_of("b"))), "ok");
  EXPECT_EQ(
      rig.call("PATCH", rig.coreweave_url + "/v1alpha1/inference/deployments/" + kUuid, R"({"autoscaling":{"min":2}})")
          ->status,
      409)
      << "the same lock";
  rig.run(Duration{2'000});
  turn("update_s", 5.0);
  ASSERT_EQ(
      rig.call("PATCH", rig.coreweave_url + "/v1alpha1/inference/deployments/" + kUuid, R"({"autoscaling":{"min":2}})")
          ->status,
      200);
  EXPECT_EQ(code_of(signal(*hotload, order_of("c"))), "exhausted") << "the deployment is being updated";
}

TEST_F(CoreweaveAdapter, AChainThatIsTooLongIsRefused) {
  rig.coreweave.create(kUuid, 1);
  turn("load_s", 0.0);
  const auto hotload = make();
  std::string parent;
  for (int i = 0; i <= 128; ++i) {
    const std::string name = "s" + std::to_string(i);
    ASSERT_EQ(code_of(signal(*hotload, order_of(name, parent))), "ok") << name;
    parent = name;
  }
  for (const char* shape : {"connect", "gateway"}) {
    turn("error_shape", shape);
    const Status refused = signal(*hotload, order_of("more", parent));
    EXPECT_EQ(code_of(refused), "invalid");
    EXPECT_THAT(refused.error().what, HasSubstr("a full one is required"));
  }
  EXPECT_EQ(hotload->capabilities().incrementals_max, 128);
}

TEST_F(CoreweaveAdapter, EveryAnswerToACreateSaysWhetherItMayHaveBeenTaken) {
  struct Row {
    int line;
    const char* word;
    const char* code;
  };
  const Row rows[] = {
      {__LINE__, "400", "invalid"},   {__LINE__, "401", "denied"},        {__LINE__, "403", "denied"},
      {__LINE__, "404", "not_found"}, {__LINE__, "429", "throttled"},     {__LINE__, "500", "internal"},
      {__LINE__, "503", "internal"},  {__LINE__, "504", "timeout"},       {__LINE__, "close", "internal"},
      {__LINE__, "hang", "timeout"},  {__LINE__, "lost_hang", "timeout"},
  };
  rig.coreweave.create(kUuid, 1);
  for (const char* shape : {"connect", "gateway"}) {
    turn("error_shape", shape);
    for (const Row& row : rows) {
      SCOPED_TRACE(std::string(shape) + " " + row.word + " of line " + std::to_string(row.line));
      turn("create_faults", json::array({row.word}));
      EXPECT_EQ(code_of(signal(*make(), order_of(std::string(shape) + row.word), Duration{300})), row.code);
      rig.run(Duration{2'000});
    }
  }
}

TEST_F(CoreweaveAdapter, AFailedHotLoadIsAnErrorOfWhoeverIsNotAtIt) {
  rig.coreweave.create(kUuid, 2);
  turn("bad", json::array({"b"}));
  const auto hotload = make();
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  rig.run(Duration{2'000});
  for (const char* word : {"HOT_LOAD_STATE_FAILED", "HOT_LOAD_STATE_CANCELED", "HOT_LOAD_STATE_CANCELLED", "failed"}) {
    turn("fail_state", word);
    ASSERT_EQ(code_of(signal(*hotload, order_of("b", "a", static_cast<int>(rig.http.sent.size())))), "ok");
    rig.run(Duration{2'000});
    const auto seen = look(*hotload);
    EXPECT_EQ(seen->replicas[0].stage, LoadStage::error) << word;
    EXPECT_EQ(seen->replicas[0].target, Identity("b"));
    EXPECT_THAT(seen->replicas[0].error, HasSubstr("checksum mismatch in shard 2"));
    EXPECT_EQ(seen->replicas[0].current, Identity("a"));
  }
}

TEST_F(CoreweaveAdapter, UnknownWordsAreProgress) {
  rig.coreweave.create(kUuid, 1);
  turn("running_state", "HOT_LOAD_STATE_STAGING_2");
  const auto hotload = make();
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  EXPECT_EQ(look(*hotload)->replicas[0].stage, LoadStage::loading);
  rig.run(Duration{2'000});
  turn("ready_state", "NOT_READY");
  EXPECT_FALSE(look(*hotload)->replicas[0].ready);
  turn("ready_state", "REPLICA_STATE_READY");
  EXPECT_TRUE(look(*hotload)->replicas[0].ready);
}

TEST_F(CoreweaveAdapter, CompletedWithAnotherIdentityIsAnErrorAfterAWhile) {
  rig.coreweave.create(kUuid, 1);
  turn("wrong_identity", "z");
  const auto hotload = make();
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  rig.run(Duration{2'000});
  EXPECT_EQ(look(*hotload)->replicas[0].stage, LoadStage::idle) << "it may be about to show";
  rig.run(Duration{31'000});
  const auto seen = look(*hotload);
  EXPECT_EQ(seen->replicas[0].stage, LoadStage::error);
  EXPECT_THAT(seen->replicas[0].error, HasSubstr("is READY with z"));
}

TEST_F(CoreweaveAdapter, WhatCannotBeReadSaysNothing) {
  rig.coreweave.create(kUuid, 1);
  const auto hotload = make();
  turn("read_faults", json::array({"503", "401"}));
  EXPECT_EQ(look(*hotload).error().code, ErrorCode::internal);
  EXPECT_EQ(look(*hotload).error().code, ErrorCode::denied);
  EXPECT_TRUE(look(*hotload).ok());
}

}  // namespace
}  // namespace ebb::test
