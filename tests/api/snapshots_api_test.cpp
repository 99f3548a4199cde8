// What trainers ask, over the real coordinator with engines that load at once.
#include <gtest/gtest.h>

#include "daemon/api/wire_face.hpp"
#include "daemon/runtime/snapshot_coordinator.hpp"
#include "policies/registry.hpp"
#include "tests/api/api_fixture.hpp"
#include "tests/support/fake_hotload.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;

const DeploymentId kSite("rl@p");

class Trainer : public ::testing::Test {
 protected:
  void start(int replicas, std::vector<TokenConfig> tokens = {}) {
    Config made = with_tokens(Day::day_config(), std::move(tokens));
    made.mode = Mode::act;
    made.jobs[0].snapshots.enabled = true;
    made.jobs[0].snapshots.store = "s3://weights/run7";
    made.jobs[0].snapshots.cadence = make_cadence("every");
    config = std::make_shared<const Config>(made);
    control.board.config = config;
    auto adapters = std::make_shared<SnapshotWiring>();
    adapters->hotloads[kSite] = hotload;
    wiring = adapters;
    for (int i = 0; i < replicas; ++i) hotload->engines[ReplicaId("r" + std::to_string(i))];
    const auto ready = test::start(io, coordinator.recover());
    clock.run_for(io, Duration{0});
    coordinator.start();
    clock.run_for(io, Duration{1'100});
  }
  ~Trainer() override { io.drop(); }

  static Request request(const std::string& method, const std::string& target, const std::string& body) {
    Request out;
    out.method = method;
    out.target = target;
    out.peer = "127.0.0.1";
    out.headers["host"] = "127.0.0.1:8470";
    out.headers["fireworks-model"] = "accounts/a/models/m";
    out.headers["fireworks-deployment"] = "accounts/a/deployments/rl";
    if (!body.empty()) out.headers["content-type"] = "application/json";
    out.body = body;
    return out;
  }
  Response ask(Request asked, Duration span = Duration{0}) {
    const auto answer = test::start(io, api.handle(std::move(asked)));
    clock.run_for(io, span);
    if (!answer->has_value()) throw std::logic_error("no answer yet");
    return **answer;
  }
  json ask(int status, const std::string& method, const std::string& target, const std::string& body = "",
           Duration span = Duration{0}) {
    const Response response = ask(request(method, target, body), span);
    EXPECT_EQ(response.status, status) << method << " " << target << ": " << response.body;
    return response.body.empty() ? json() : json::parse(response.body);
  }
  json wire(int status, const std::string& body) { return ask(status, "POST", "/hot_load/v1/models/hot_load", body); }
  json wire_replicas() { return ask(200, "GET", "/hot_load/v1/models/hot_load").at("replicas"); }
  void run(int ms) { clock.run_for(io, Duration{ms}); }

  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }
  };
  VirtualClock clock{testing::kStart};
  MemoryWeightsLedger weights;
  std::shared_ptr<FakeHotload> hotload = std::make_shared<FakeHotload>(clock);
  std::shared_ptr<const SnapshotWiring> wiring;
  std::shared_ptr<const Config> config;
  std::set<ReplicaId> leaving;
  Io io;
  SnapshotCoordinator coordinator{io.get_executor(),
                                  {clock, weights, [this] { return config; }, [this] { return wiring; },
                                   [this](const JobConfig&) {
                                     JobFleet fleet;
                                     fleet.leaving = leaving;
                                     return fleet;
                                   },
                                   [] {}}};
  FakeControl control;
  FakeLedger ledger;
  Api api{control, ledger, clock, coordinator, weights};
};

TEST_F(Trainer, PlansPublishesAndWaitsUntilItServes) {
  start(2);
  const json plan = ask(200, "POST", "/v1/jobs/rl/snapshots:plan", R"({"run":"run7"})");
  EXPECT_EQ(plan.at("kind"), "full");
  EXPECT_EQ(plan.at("identity"), "run7-step-000000");
  EXPECT_EQ(plan.at("upload_url"), "s3://weights/run7/run7-step-000000");
  EXPECT_TRUE(plan.at("previous_identity").is_null());
  const std::string body = R"({"identity":"run7-step-000000","kind":"full","run":"run7","step":0})";
  EXPECT_EQ(ask(201, "POST", "/v1/jobs/rl/snapshots", body).at("phase"), "published");
  ask(200, "POST", "/v1/jobs/rl/snapshots", body);
  const json early =
      ask(200, "GET", "/v1/jobs/rl/snapshots/run7-step-000000?wait=serving&timeout=2s", "", Duration{2'000});
  EXPECT_EQ(early.at("phase"), "loading");
  EXPECT_EQ(early.at("replicas").size(), 2u);
  EXPECT_EQ(early.at("ended"), false);
  const json late = ask(200, "GET", "/v1/jobs/rl/snapshots/run7-step-000000?wait=serving", "", Duration{5'000});
  EXPECT_EQ(late.at("phase"), "serving");
  EXPECT_EQ(late.at("ready"), 2);
  const json next = ask(200, "POST", "/v1/jobs/rl/snapshots:plan", R"({"run":"run7"})");
  EXPECT_EQ(next.at("kind"), "incremental");
  EXPECT_EQ(next.at("previous_identity"), "run7-step-000000");
}

TEST_F(Trainer, ALongPollIsAnsweredAfterFiftySecondsWhateverIsAsked) {
  start(1);
  hotload->load_time = Duration{300'000};
  ask(201, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"a","kind":"full"})");
  const json answer = ask(200, "GET", "/v1/jobs/rl/snapshots/a?wait=serving&timeout=10m", "", Duration{50'000});
  EXPECT_EQ(answer.at("phase"), "loading");
}

TEST_F(Trainer, AReplicaIsShownAsServingOnceItHasTheWeightsItShouldHave) {
  start(2);
  auto seen = std::make_shared<Observation>();
  FleetSeen fleet;
  auto state = std::make_shared<State>();
  for (const char* name : {"r0", "r1"}) {
    fleet.replicas.push_back(testing::replica(name, kSite, ReplicaPhase::ready));
    Lease lease;
    lease.deployment = kSite;
    lease.phase = LeasePhase::syncing;
    state->leases[ReplicaId(name)] = lease;
  }
  seen->fleets[testing::kFleet] = Sample<FleetSeen>{fleet, clock.now()};
  control.board.seen = seen;
  control.board.state = state;
  const json early = ask(200, "GET", "/v1/replicas").at("replicas");
  for (const json& replica : early) {
    EXPECT_EQ(replica.at("serves"), false) << "ready, but with no weights of the job";
    EXPECT_TRUE(replica.at("weights").is_null());
  }
  ask(201, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"a","kind":"full"})");
  run(10'000);
  state = std::make_shared<State>(*state);
  state->leases[ReplicaId("r1")].phase = LeasePhase::draining;
  control.board.state = state;
  const json shown = ask(200, "GET", "/v1/replicas").at("replicas");
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown.at(0).at("serves"), true) << "before the next decision moves its lease";
  EXPECT_EQ(shown.at(0).at("weights"), "a");
  EXPECT_EQ(shown.at(1).at("serves"), false) << "it is told to leave";
}

TEST_F(Trainer, BadRequestsSayWhatIsWrong) {
  start(1);
  struct Row {
    int line;
    int status;
    const char* method;
    const char* target;
    const char* body;
    const char* word;
  };
  const Row rows[] = {
      {__LINE__, 400, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"a/b","kind":"full"})", "slash"},
      {__LINE__, 400, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"a"})", "kind"},
      {__LINE__, 400, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"a","kind":"half"})", "incremental"},
      {__LINE__, 400, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"a","kind":"full","colour":1})", "colour"},
      {__LINE__, 409, "POST", "/v1/jobs/rl/snapshots",
       R"({"identity":"a","kind":"incremental","previous_identity":"z"})", "must be full"},
      {__LINE__, 404, "POST", "/v1/jobs/nobody/snapshots", R"({"identity":"a","kind":"full"})", "nobody"},
      {__LINE__, 404, "GET", "/v1/jobs/rl/snapshots/unheard-of", "", "unheard-of"},
      {__LINE__, 400, "GET", "/v1/jobs/rl/snapshots/a?wait=forever", "", "serving"},
      {__LINE__, 400, "GET", "/v1/jobs/rl/snapshots/a?wait=serving&timeout=soon", "", "timeout"},
      {__LINE__, 400, "GET", "/v1/jobs/rl/snapshots?limit=0", "", "limit"},
      {__LINE__, 404, "GET", "/v1/jobs/nobody/ledger", "", "nobody"},
  };
  for (const Row& row : rows) {
    const Response response = ask(request(row.method, row.target, row.body));
    EXPECT_EQ(response.status, row.status) << "row at line " << row.line << ": " << response.body;
    EXPECT_NE(response.body.find(row.word), std::string::npos) << "row at line " << row.line << ": " << response.body;
  }
}

TEST_F(Trainer, TheLedgerShowsEveryTransitionAndAResetAsksForAFullOne) {
  start(1);
  ask(201, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"a","kind":"full"})");
  run(6'000);
  const json page = ask(200, "GET", "/v1/jobs/rl/ledger?identity=a");
  std::set<std::string> what;
  for (const json& row : page.at("loads")) what.insert(row.at("what"));
  EXPECT_TRUE(what.contains("sending") && what.contains("loading") && what.contains("serving") &&
              what.contains("reached"))
      << page.dump();
  EXPECT_EQ(ask(200, "GET", "/v1/jobs/rl/snapshots").at("snapshots").at(0).at("phase"), "serving");
  EXPECT_EQ(ask(200, "GET", "/v1/jobs/rl/snapshots").at("snapshots").at(0).at("prunable"), false);
  ask(204, "DELETE", "/v1/jobs/rl/ledger");
  EXPECT_EQ(ask(200, "GET", "/v1/jobs/rl/snapshots").at("snapshots").at(0).at("prunable"), true);
  ask(409, "POST", "/v1/jobs/rl/snapshots", R"({"identity":"b","kind":"incremental","previous_identity":"a"})");
}

TEST_F(Trainer, OneWrittenForFireworksDrivesOurFleet) {
  start(3);
  ASSERT_FALSE(wire_replicas().empty()) << "its manager is up";
  std::string parent;
  for (int step = 0; step < 5; ++step) {
    const std::string name = "run7-step-00000" + std::to_string(step);
    json body = json::object();
    body["identity"] = name;
    if (!parent.empty()) {
      body["incremental_snapshot_metadata"] = json::object();
      body["incremental_snapshot_metadata"]["previous_snapshot_identity"] = parent;
      body["incremental_snapshot_metadata"]["compression_format"] = "arc_v2";
      body["incremental_snapshot_metadata"]["checksum_format"] = "alder32";
    }
    body["reset_prompt_cache"] = step % 2 == 0 ? json(true) : json("new_session");
    EXPECT_EQ(wire(200, body.dump()), json::object());
    int polls = 0;
    for (; polls < 10; ++polls) {
      const json first = wire_replicas().at(0);
      if (first.at("readiness") == true && first.at("current_snapshot_identity") == name) break;
      run(1'000);
    }
    EXPECT_LT(polls, 8) << name;
    parent = name;
  }
  EXPECT_EQ(hotload->arrived.size(), 5u);
  EXPECT_EQ(hotload->arrived[1].reset_cache, ResetCache::new_session);
  const json rows = ask(200, "GET", "/v1/accounts/a/deployments/rl/ledger").at("rows");
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].at("identity"), "run7-step-000004");
  EXPECT_EQ(rows[0].at("type"), "delta");
  EXPECT_FALSE(rows[0].at("replica_transitions").empty());
  EXPECT_EQ(ask(200, "DELETE", "/v1/accounts/a/deployments/rl/ledger"), json::object());
  wire(409, R"({"identity":"x","incremental_snapshot_metadata":{"previous_snapshot_identity":"run7-step-000004",)"
            R"("compression_format":"arc_v2"}})");
}

TEST_F(Trainer, AFailureIsSeenOnTheFirstReplicaWithItsTarget) {
  start(2);
  wire(200, R"({"identity":"a"})");
  run(6'000);
  hotload->bad.insert(Identity("b"));
  wire(200, R"({"identity":"b","incremental_snapshot_metadata":{"previous_snapshot_identity":"a",)"
            R"("compression_format":"arc_v2"}})");
  run(6'000);
  const json first = wire_replicas().at(0);
  EXPECT_EQ(first.at("loading_state").at("stage"), "error");
  EXPECT_EQ(first.at("loading_state").at("target_snapshot_identity"), "b");
}

TEST_F(Trainer, NewcomersAreLeftOutAndAJobWithoutReplicasShowsOneParkedEntry) {
  start(1);
  wire(200, R"({"identity":"a"})");
  run(6'000);
  hotload->engines[ReplicaId("late")];
  hotload->load_time = Duration{60'000};
  run(2'000);
  EXPECT_EQ(wire_replicas().size(), 1u);
  hotload->engines.clear();
  run(15'000);
  wire(200, R"({"identity":"b","incremental_snapshot_metadata":{"previous_snapshot_identity":"a",)"
            R"("compression_format":"arc_v2"}})");
  run(3'000);
  const json parked = wire_replicas();
  ASSERT_EQ(parked.size(), 1u);
  EXPECT_EQ(parked[0].at("readiness"), true);
  EXPECT_EQ(parked[0].at("current_snapshot_identity"), "b");
}

TEST_F(Trainer, TheWireIsAsStrictAsTheirs) {
  start(1);
  const json refused = wire(400, R"({"identity":"a","colour":true})");
  EXPECT_EQ(refused.at("error").at("message"), "Extra inputs are not permitted, field: 'colour', value: True");
  struct Row {
    int line;
    const char* body;
    const char* word;
  };
  const Row rows[] = {
      {__LINE__, "[]", "object"},
      {__LINE__, "{", "JSON"},
      {__LINE__, R"({})", "identity"},
      {__LINE__, R"({"identity":7})", "string"},
      {__LINE__, R"({"identity":"a","identity":"b"})", "twice"},
      {__LINE__, R"({"identity":"a","reset_prompt_cache":"some"})", "new_session"},
      {__LINE__, R"({"identity":"a","incremental_snapshot_metadata":{}})", "previous_snapshot_identity"},
      {__LINE__,
       R"({"identity":"a","incremental_snapshot_metadata":{"previous_snapshot_identity":"x",)"
       R"("compression_format":"arc_v2","y":1}})",
       "incremental_snapshot_metadata.y"},
      {__LINE__, R"({"identity":"a","validation":{"extra_fields_ignore":[1]}})", "extra_fields_ignore"},
      {__LINE__, R"({"identity":"a","validation":{"extra_fields_ignore":[[[[1]]]]}})", "deep"},
  };
  for (const Row& row : rows) {
    const json told = wire(400, row.body);
    EXPECT_NE(told.dump().find(row.word), std::string::npos) << "row at line " << row.line << ": " << told.dump();
  }
  Request nameless = request("GET", "/hot_load/v1/models/hot_load", "");
  nameless.headers.erase("fireworks-deployment");
  EXPECT_EQ(ask(std::move(nameless)).status, 400);
  const auto good = publication_from_wire(
      R"({"identity":"a","reset_prompt_cache":false,"validation":{"extra_fields_ignore":["rope"]}})");
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(good->reset_cache, "none");
  EXPECT_EQ(good->ignored_options, std::vector<std::string>{"rope"});
}

TEST_F(Trainer, WhatTheFleetCannotApplyIsAnsweredWithTheReason) {
  hotload->can.incremental = false;
  hotload->can.no_incremental_why = "stock vLLM has no file deltas";
  start(1);
  wire(200, R"({"identity":"a"})");
  run(6'000);
  const json told = wire(400, R"({"identity":"b","incremental_snapshot_metadata":{"previous_snapshot_identity":"a",)"
                              R"("compression_format":"arc_v2"}})");
  EXPECT_NE(told.dump().find("stock vLLM"), std::string::npos);
}

TEST_F(Trainer, ATokenPublishesForItsJobOnly) {
  ::setenv("EBB_TEST_MINE", "m-0123456789abcdef", 1);
  ::setenv("EBB_TEST_OTHERS", "o-0123456789abcdef", 1);
  ::setenv("EBB_TEST_READS", "r-0123456789abcdef", 1);
  start(1, {{"mine", {"env:EBB_TEST_MINE"}, {"publish:rl"}},
            {"others", {"env:EBB_TEST_OTHERS"}, {"publish:another"}},
            {"reads", {"env:EBB_TEST_READS"}, {"read"}}});
  struct Row {
    int line;
    const char* method;
    const char* target;
    const char* header;
    const char* token;
    int status;
  };
  const Row rows[] = {
      {__LINE__, "GET", "/hot_load/v1/models/hot_load", "authorization", "Bearer m-0123456789abcdef", 200},
      {__LINE__, "GET", "/hot_load/v1/models/hot_load", "x-api-key", "m-0123456789abcdef", 200},
      {__LINE__, "GET", "/hot_load/v1/models/hot_load", "x-api-key", "r-0123456789abcdef", 200},
      {__LINE__, "GET", "/hot_load/v1/models/hot_load", "x-api-key", "o-0123456789abcdef", 403},
      {__LINE__, "GET", "/hot_load/v1/models/hot_load", "x-api-key", "nonsense", 401},
      {__LINE__, "GET", "/hot_load/v1/models/hot_load", "x-other", "m-0123456789abcdef", 401},
      {__LINE__, "DELETE", "/v1/jobs/rl/ledger", "authorization", "Bearer r-0123456789abcdef", 403},
      {__LINE__, "DELETE", "/v1/jobs/rl/ledger", "authorization", "Bearer o-0123456789abcdef", 403},
      {__LINE__, "DELETE", "/v1/jobs/rl/ledger", "authorization", "Bearer m-0123456789abcdef", 204},
      {__LINE__, "GET", "/v1/status", "authorization", "Bearer m-0123456789abcdef", 403},
      {__LINE__, "GET", "/v1/status", "x-api-key", "r-0123456789abcdef", 401},
  };
  for (const Row& row : rows) {
    Request asked = request(row.method, row.target, "");
    asked.headers[row.header] = row.token;
    const Response response = ask(std::move(asked));
    EXPECT_EQ(response.status, row.status) << "row at line " << row.line << ": " << response.body;
  }
}

}  // namespace
}  // namespace ebb::test
