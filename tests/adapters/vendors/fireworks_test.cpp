// The Fireworks adapter against the stand-in.
#include "adapters/fireworks/fireworks_hotload.hpp"

#include <gmock/gmock.h>

#include "tests/adapters/vendors/rig.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class FireworksAdapter : public testing::Test {
 protected:
  std::shared_ptr<FireworksHotload> make(HotloadConfig config, bool adapter = false,
                                         LoadTransitionMode transition = LoadTransitionMode::async) {
    FireworksHotload::Options options;
    options.config = std::move(config);
    options.adapter = adapter;
    options.transition = transition;
    return std::make_shared<FireworksHotload>(std::move(options), rig.http, rig.clock);
  }
  Status signal(FireworksHotload& hotload, LoadOrder order, Duration within = Duration{60'000}) {
    return rig.ask(hotload.signal(std::move(order), {}, rig.clock.now() + within));
  }
  Result<HotloadSeen> look(FireworksHotload& hotload) {
    return rig.ask(hotload.look({}, rig.clock.now() + Duration{5'000}));
  }
  void turn(const json& knobs) { ASSERT_TRUE(rig.fireworks.knobs().set(knobs).ok()); }
  void turn(const char* name, const json& value) {
    json knobs;
    knobs[name] = value;
    turn(knobs);
  }
  json last_body() { return rig.fireworks.site(kSite)->taken().back(); }

  VendorRig rig;
};

TEST_F(FireworksAdapter, WritesTheBodiesThatTheApiDocuments) {
  rig.site();
  const auto hotload = make(rig.fireworks_config());
  LoadOrder full = order_of("a");
  full.path.front().said.ignored_options = {"torch_dtype"};
  ASSERT_EQ(code_of(signal(*hotload, full)), "ok");
  EXPECT_EQ(last_body(), json::parse(R"({"identity":"a","reset_prompt_cache":"all",
                                         "validation":{"extra_fields_ignore":["torch_dtype"]}})"));
  rig.run(Duration{1'000});
  LoadOrder delta = order_of("b", "a");
  delta.reset_cache = ResetCache::new_session;
  ASSERT_EQ(code_of(signal(*hotload, delta)), "ok");
  EXPECT_EQ(last_body(), json::parse(R"({"identity":"b","reset_prompt_cache":"new_session",
      "incremental_snapshot_metadata":{"previous_snapshot_identity":"a","compression_format":"arc_v2",
                                       "checksum_format":"alder32"}})"));
  const HttpRequest& sent = rig.http.sent.back();
  EXPECT_EQ(sent.headers.at("fireworks-model"), kModel);
  EXPECT_EQ(sent.headers.at("fireworks-deployment"), "accounts/acct/deployments/sampler");
  EXPECT_TRUE(sent.once);
}

TEST_F(FireworksAdapter, AnAdapterOfLoraIsNeverSentAsAnIncrement) {
  rig.site();
  turn("lora", true);
  const auto hotload = make(rig.fireworks_config(), true);
  EXPECT_EQ(code_of(signal(*hotload, order_of("b", "a"))), "invalid");
  EXPECT_EQ(rig.fireworks.site(kSite)->crashes(), 0);
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  EXPECT_EQ(look(*hotload)->replicas.at(0).stage, LoadStage::loading);
  rig.run(Duration{1'000});
  ASSERT_EQ(code_of(signal(*hotload, order_of("b"))), "ok");
  rig.run(Duration{1'000});
  const auto seen = look(*hotload);
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->replicas.at(0).current, Identity("b")) << "of two loaded ones the one that was signalled";
  EXPECT_EQ(seen->replicas.at(0).stage, LoadStage::idle);
  turn("bad", json::array({"c"}));
  ASSERT_EQ(code_of(signal(*hotload, order_of("c"))), "ok");
  rig.run(Duration{1'000});
  EXPECT_EQ(look(*hotload)->replicas.at(0).stage, LoadStage::error);
  EXPECT_EQ(look(*hotload)->replicas.at(0).target, Identity("c"));
}

TEST_F(FireworksAdapter, NothingIsSignalledBeforeTheManagerAnswers) {
  emulator::fireworks::Site& site = rig.site();
  turn("manager_s", 5.0);
  ASSERT_TRUE(rig.call("PATCH",
                       rig.fireworks_url + "/v1/accounts/acct/deployments/sampler?updateMask=hot_load_transition_type",
                       R"({"hotLoadTransitionType":"SYNC"})")
                  .ok());
  const auto hotload = make(rig.fireworks_config(), false, LoadTransitionMode::sync);
  EXPECT_TRUE(look(*hotload)->replicas.empty());
  EXPECT_EQ(code_of(signal(*hotload, order_of("a"))), "unreachable");
  EXPECT_EQ(site.crashes(), 0);
  EXPECT_TRUE(site.faults().empty());
  rig.run(Duration{5'100});
  EXPECT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  EXPECT_EQ(site.taken().size(), 1u);
}

TEST_F(FireworksAdapter, EveryAnswerToASignalSaysWhetherItMayHaveBeenTaken) {
  struct Row {
    int line;
    const char* word;
    const char* code;
    std::size_t taken;
  };
  const Row rows[] = {
      {__LINE__, "400", "invalid", 0},     {__LINE__, "401", "denied", 0},     {__LINE__, "403", "denied", 0},
      {__LINE__, "404", "unreachable", 0}, {__LINE__, "408", "timeout", 0},    {__LINE__, "409", "exhausted", 0},
      {__LINE__, "413", "invalid", 0},     {__LINE__, "415", "invalid", 0},    {__LINE__, "422", "invalid", 0},
      {__LINE__, "425", "exhausted", 0},   {__LINE__, "429", "throttled", 0},  {__LINE__, "500", "internal", 0},
      {__LINE__, "502", "internal", 0},    {__LINE__, "503", "internal", 0},   {__LINE__, "504", "internal", 0},
      {__LINE__, "301", "invalid", 0},     {__LINE__, "close", "internal", 0}, {__LINE__, "hang", "timeout", 0},
      {__LINE__, "forget", "ok", 0},       {__LINE__, "lost", "internal", 1},  {__LINE__, "lost_hang", "timeout", 1},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.word) + " of line " + std::to_string(row.line));
    VendorRig own;
    emulator::fireworks::Site& site = own.site();
    FireworksHotload::Options options;
    options.config = own.fireworks_config();
    FireworksHotload hotload(std::move(options), own.http, own.clock);
    json knob;
    knob["signal_faults"] = json::array({row.word});
    ASSERT_TRUE(own.fireworks.knobs().set(knob).ok());
    const Status answer = own.ask(hotload.signal(order_of("a"), {}, own.clock.now() + Duration{300}));
    EXPECT_EQ(code_of(answer), row.code) << (answer.ok() ? "" : answer.error().what);
    EXPECT_EQ(site.taken().size(), row.taken);
    EXPECT_TRUE(site.faults().empty()) << site.faults().front();
    EXPECT_EQ(own.http.count("POST", "hot_load"), 1u);
  }
}

TEST_F(FireworksAdapter, ARefusedConnectionWasNotTaken) {
  rig.site();
  const auto hotload = make(rig.fireworks_config());
  rig.fireworks.stop();
  EXPECT_EQ(code_of(signal(*hotload, order_of("a"), Duration{500})), "unreachable");
}

TEST_F(FireworksAdapter, ABackendThatDoesNotKnowTheResetIsAskedOnceMoreWithoutIt) {
  emulator::fireworks::Site& site = rig.site();
  turn("reset", "none");
  const auto hotload = make(rig.fireworks_config());
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  EXPECT_FALSE(last_body().contains("reset_prompt_cache"));
  EXPECT_EQ(rig.http.count("POST", "hot_load"), 2u);
  rig.run(Duration{1'000});
  ASSERT_EQ(code_of(signal(*hotload, order_of("b", "a"))), "ok");
  EXPECT_EQ(rig.http.count("POST", "hot_load"), 3u) << "it is remembered";
  rig.run(Duration{1'000});
  LoadOrder none = order_of("c", "b");
  none.reset_cache = ResetCache::none;
  const Status refused = signal(*hotload, none);
  EXPECT_EQ(code_of(refused), "invalid");
  EXPECT_THAT(refused.error().what, HasSubstr("reset_prompt_cache"));
  const Status fresh = signal(*make(rig.fireworks_config()), none);
  EXPECT_EQ(code_of(fresh), "invalid");
  EXPECT_THAT(fresh.error().what, HasSubstr("all is all it can do"));
  EXPECT_EQ(site.taken().size(), 2u);
}

TEST_F(FireworksAdapter, TheResetIsWrittenAsConfigured) {
  rig.site();
  turn("reset", "bool");
  HotloadConfig config = rig.fireworks_config();
  config.reset_encoding = ResetEncoding::boolean;
  const auto boolean = make(config);
  LoadOrder order = order_of("a");
  order.reset_cache = ResetCache::none;
  ASSERT_EQ(code_of(signal(*boolean, order)), "ok");
  EXPECT_EQ(last_body()["reset_prompt_cache"], false);
  rig.run(Duration{1'000});
  ASSERT_EQ(code_of(signal(*boolean, order_of("b"))), "ok");
  EXPECT_EQ(last_body()["reset_prompt_cache"], true);
  rig.run(Duration{1'000});
  config.reset_encoding = ResetEncoding::absent;
  ASSERT_EQ(code_of(signal(*make(config), order_of("c"))), "ok");
  EXPECT_FALSE(last_body().contains("reset_prompt_cache"));
}

TEST_F(FireworksAdapter, ASuccessMaySayWhatItLikes) {
  for (const char* body : {"", "null", "[1]", "not JSON", "{\"accepted\":true}"}) {
    VendorRig own;
    own.site();
    FireworksHotload::Options options;
    options.config = own.fireworks_config();
    FireworksHotload hotload(std::move(options), own.http, own.clock);
    json knob;
    knob["success_body"] = body;
    ASSERT_TRUE(own.fireworks.knobs().set(knob).ok());
    EXPECT_EQ(code_of(own.ask(hotload.signal(order_of("a"), {}, own.clock.now() + Duration{5'000}))), "ok") << body;
  }
}

TEST_F(FireworksAdapter, WhatEveryReplicaHasOrLoadsIsNotSignalledAgain) {
  emulator::fireworks::Site& site = rig.site();
  const auto hotload = make(rig.fireworks_config());
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  EXPECT_EQ(code_of(signal(*hotload, order_of("a", "", 2))), "ok");
  rig.run(Duration{1'000});
  EXPECT_EQ(code_of(signal(*make(rig.fireworks_config()), order_of("a", "", 3))), "ok");
  EXPECT_EQ(site.taken().size(), 1u);
  EXPECT_TRUE(site.faults().empty());
}

TEST_F(FireworksAdapter, AWrongParentIsRefusedWithTheVendorsWords) {
  rig.site();
  turn("reject_status", 422);
  const auto hotload = make(rig.fireworks_config());
  const Status refused = signal(*hotload, order_of("b", "a"));
  EXPECT_EQ(code_of(refused), "invalid");
  EXPECT_THAT(refused.error().what, HasSubstr("previous_snapshot_identity 'a'"));
}

TEST_F(FireworksAdapter, ReportsEveryStageOfALoad) {
  rig.site();
  const auto hotload = make(rig.fireworks_config());
  auto seen = look(*hotload);
  ASSERT_EQ(seen->replicas.size(), 2u);
  EXPECT_EQ(seen->replicas[0].replica, ReplicaId("sampler/sampler-pod-1"));
  EXPECT_EQ(seen->replicas[0].incarnation, "sampler-pod-1");
  EXPECT_FALSE(seen->replicas[0].current.has_value());
  EXPECT_EQ(seen->condition, "");
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  seen = look(*hotload);
  EXPECT_EQ(seen->replicas[0].stage, LoadStage::loading);
  EXPECT_EQ(seen->replicas[0].target, Identity("a"));
  EXPECT_TRUE(seen->replicas[0].ready);
  rig.run(Duration{550});
  EXPECT_FALSE(look(*hotload)->replicas[0].ready) << "it swaps";
  rig.run(Duration{100});
  seen = look(*hotload);
  EXPECT_EQ(seen->replicas[0].current, Identity("a"));
  EXPECT_EQ(seen->replicas[0].stage, LoadStage::idle);
  turn("bad", json::array({"b"}));
  ASSERT_EQ(code_of(signal(*hotload, order_of("b", "a"))), "ok");
  rig.run(Duration{1'000});
  seen = look(*hotload);
  EXPECT_EQ(seen->replicas[0].stage, LoadStage::error);
  EXPECT_EQ(seen->replicas[0].error, "Types mismatch");
  EXPECT_EQ(seen->replicas[0].current, Identity("a")) << "the old weights go on serving";
}

TEST_F(FireworksAdapter, ReplicasWithoutNamesOrWithOneNameAreToldApart) {
  rig.site(3);
  const auto hotload = make(rig.fireworks_config());
  turn("pod_names", "null");
  auto seen = look(*hotload);
  ASSERT_EQ(seen->replicas.size(), 3u);
  EXPECT_EQ(seen->replicas[2].replica, ReplicaId("sampler/#3"));
  EXPECT_EQ(seen->replicas[2].incarnation, "");
  turn("pod_names", "same");
  seen = look(*hotload);
  ASSERT_EQ(seen->replicas.size(), 3u);
  EXPECT_EQ(seen->replicas[0].replica, ReplicaId("sampler/sampler"));
  EXPECT_EQ(seen->replicas[1].replica, ReplicaId("sampler/sampler#2"));
}

TEST_F(FireworksAdapter, AnUnknownStageIsProgressUntilTheTargetIsServed) {
  rig.site();
  const auto hotload = make(rig.fireworks_config());
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  turn("swap_stage", "warming_up");
  rig.run(Duration{550});
  EXPECT_EQ(look(*hotload)->replicas[0].stage, LoadStage::loading);
  rig.run(Duration{1'000});
  turn("idle_stage", "resting");
  EXPECT_EQ(look(*hotload)->replicas[0].stage, LoadStage::idle);
}

TEST_F(FireworksAdapter, APageThatCannotBeUnderstoodSaysNothing) {
  rig.site();
  const auto hotload = make(rig.fireworks_config());
  turn("status_faults", json::array({"503", "429", "forget"}));
  EXPECT_EQ(look(*hotload).error().code, ErrorCode::internal);
  EXPECT_EQ(look(*hotload).error().code, ErrorCode::throttled);
  EXPECT_EQ(look(*hotload).error().code, ErrorCode::malformed) << "a body of {} has no replicas";
  EXPECT_TRUE(look(*hotload).ok());
}

TEST_F(FireworksAdapter, SaysWhatAilsTheDeploymentAndAsksRarely) {
  rig.site(2, "SYNC");
  const auto hotload = make(rig.fireworks_config());
  EXPECT_THAT(look(*hotload)->condition, HasSubstr("set to SYNC although transition is async"));
  const auto sync = make(rig.fireworks_config(), false, LoadTransitionMode::sync);
  const std::size_t before = rig.http.count("GET", "/v1/accounts/");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(look(*sync)->condition, "");
    rig.run(Duration{1'000});
  }
  EXPECT_EQ(rig.http.count("GET", "/v1/accounts/") - before, 1u);
  ASSERT_EQ(rig.call("PATCH",
                     rig.fireworks_url + "/v1/accounts/acct/deployments/sampler?updateMask="
                                         "min_replica_count,max_replica_count",
                     R"({"minReplicaCount":0,"maxReplicaCount":0})")
                ->status,
            200);
  EXPECT_EQ(look(*sync)->condition, "scaled to zero");
  ASSERT_EQ(rig.call("DELETE", rig.fireworks_url + "/v1/accounts/acct/deployments/sampler")->status, 200);
  rig.run(Duration{6'000});
  (void)look(*sync);
  EXPECT_FALSE(look(*sync).ok()) << "404";
}

TEST_F(FireworksAdapter, ADeploymentMayStayCreatingWhileItServes) {
  rig.site();
  turn("creating", true);
  const auto hotload = make(rig.fireworks_config());
  EXPECT_EQ(look(*hotload)->condition, "");
  turn("empty_list", true);
  rig.run(Duration{6'000});
  EXPECT_EQ(look(*hotload)->condition, "CREATING");
}

TEST_F(FireworksAdapter, ResetsTheLedgerAndTakesAMissingOneForEmpty) {
  emulator::fireworks::Site& site = rig.site();
  const auto hotload = make(rig.fireworks_config());
  ASSERT_EQ(code_of(signal(*hotload, order_of("a"))), "ok");
  rig.run(Duration{1'000});
  const TimePoint deadline = rig.clock.now() + Duration{5'000};
  EXPECT_TRUE(rig.ask(hotload->reset(deadline)).ok());
  EXPECT_TRUE(site.ledger_page()["entries"].empty());
  EXPECT_EQ(code_of(signal(*hotload, order_of("b", "a"))), "invalid") << "it forgot the chain";
  turn("ledger_faults", json::array({"404", "403", "500"}));
  EXPECT_TRUE(rig.ask(hotload->reset(deadline)).ok());
  EXPECT_EQ(code_of(rig.ask(hotload->reset(deadline))), "denied");
  EXPECT_EQ(code_of(rig.ask(hotload->reset(deadline))), "internal");
}

TEST_F(FireworksAdapter, AWrongKeyIsDeniedAndNamesNoSecret) {
  rig.site();
  HotloadConfig config = rig.fireworks_config();
  ::setenv("EBB_VENDOR_TEST_WRONG_KEY", "guess", 1);
  config.endpoint.bearer_token = SecretRef{"env:EBB_VENDOR_TEST_WRONG_KEY"};
  const Status refused = signal(*make(config), order_of("a"));
  EXPECT_EQ(code_of(refused), "denied");
  EXPECT_THAT(refused.error().what, testing::Not(HasSubstr("guess")));
}

}  // namespace
}  // namespace ebb::test
