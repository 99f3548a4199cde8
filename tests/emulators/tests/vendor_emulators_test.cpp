// The stand-ins for vendors' APIs, asked over HTTP as a client would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/emulators/common/tokens.hpp"
#include "tests/emulators/coreweave/service.hpp"
#include "tests/emulators/fireworks/service.hpp"
#include "tests/emulators/tests/harness.hpp"

namespace ebb::emulator {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kHotLoad = "/hot_load/v1/models/hot_load";
constexpr const char* kDeployments = "/v1/accounts/acct/deployments";

struct Page {
  int status = 0;
  std::string text;
  [[nodiscard]] json body() const { return json::parse(text, nullptr, false); }
};

awaitable<void> ask_once(HostPort to, std::string method, std::string target, Headers headers, std::string body,
                         Page& page) {
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(10);
  const Status connected = co_await call.connect(to);
  if (!connected.ok()) co_return;
  const auto head = co_await call.ask(std::move(method), std::move(target), std::move(headers), std::move(body));
  if (!head.ok()) co_return;
  page.status = head->status;
  auto rest = co_await call.read_all(1 << 20);
  if (rest.ok()) page.text = *rest;
}

/// Either service on a port of its own; time is what a test says.
template <class Service, class Config>
class VendorEmulator : public testing::Test {
 protected:
  VendorEmulator() {
    const auto port = service.start();
    EXPECT_TRUE(port.ok());
    at.host = "127.0.0.1";
    at.port = *port;
  }
  Page ask(const std::string& method, const std::string& target, const std::string& body = "", Headers more = {}) {
    Headers headers = std::move(more);
    headers["host"] = "x";
    headers["content-type"] = "application/json";
    Page page;
    run_until_done(io, ask_once(at, method, target, headers, body, page));
    return page;
  }
  void turn(const json& knobs) { EXPECT_EQ(ask("POST", "/_knob", knobs.dump()).status, 200); }
  static Config settings() {
    Config config;
    config.port = 0;
    return config;
  }
  double now = 100;
  asio::io_context io;
  Service service{io, settings(), [this] { return now; }};
  HostPort at;
};

class FireworksEmulator : public VendorEmulator<fireworks::Service, fireworks::Config> {
 protected:
  void create(const std::string& id = "d", const std::string& more = "") {
    const Page page = ask("POST", std::string(kDeployments) + "?deploymentId=" + id,
                          R"({"baseModel":"accounts/acct/models/m","minReplicaCount":2,"maxReplicaCount":4,)"
                          R"("enableHotLoad":true)" +
                              more + "}");
    ASSERT_EQ(page.status, 200) << page.text;
    now += 3;
  }
  Page load(const std::string& method, const std::string& body = "") {
    Headers headers;
    headers["fireworks-model"] = "accounts/acct/models/m";
    headers["fireworks-deployment"] = "accounts/acct/deployments/d";
    return ask(method, kHotLoad, body, headers);
  }
  Page complete(const std::string& drain = "") {
    Headers headers;
    if (!drain.empty()) headers["x-fireworks-hot-load-drain-timeout"] = drain;
    return ask("POST", "/inference/v1/completions", R"({"model":"accounts/acct/deployments/d","prompt":"a b"})",
               headers);
  }
};

TEST_F(FireworksEmulator, RefusesWhatItsSchemaDoesNotKnow) {
  create();
  EXPECT_THAT(load("POST", R"({"identity":"a","stray":true})").text,
              HasSubstr("Extra inputs are not permitted, field: 'stray', value: True"));
  struct Row {
    int line;
    const char* body;
    int status;
  };
  const Row rows[] = {
      {__LINE__, "", 400},
      {__LINE__, "[]", 400},
      {__LINE__, "{}", 400},
      {__LINE__, R"({"identity":"a/b"})", 400},
      {__LINE__, R"({"identity":1})", 400},
      {__LINE__, R"({"identity":"a","incremental_snapshot_metadata":{}})", 400},
      {__LINE__, R"({"identity":"a","reset_prompt_cache":"some"})", 400},
      {__LINE__, R"({"identity":"a","validation":{"extra_fields_ignore":[],"more":1}})", 400},
      {__LINE__, R"({"identity":"b","incremental_snapshot_metadata":{"previous_snapshot_identity":"a",
                     "compression_format":"zip"}})",
       400},
      {__LINE__, R"({"identity":"a","reset_prompt_cache":false,"validation":{"extra_fields_ignore":["x"]}})", 200},
  };
  for (const Row& row : rows) EXPECT_EQ(load("POST", row.body).status, row.status) << "line " << row.line;
  turn({{"reset", "none"}});
  EXPECT_THAT(load("POST", R"({"identity":"c","reset_prompt_cache":"all"})").text, HasSubstr("'reset_prompt_cache'"));
}

TEST_F(FireworksEmulator, LoadsSwapsAndServesUnderTheNewName) {
  create();
  EXPECT_THAT(complete().text, HasSubstr("accounts/acct/models/m@base"));
  ASSERT_EQ(load("POST", R"({"identity":"a"})").status, 200);
  json first = load("GET").body()["replicas"][0];
  EXPECT_EQ(first["loading_state"]["stage"], "downloading");
  EXPECT_EQ(first["loading_state"]["target_snapshot_identity"], "a");
  EXPECT_EQ(first["readiness"], true);
  now += 0.55;
  EXPECT_EQ(load("GET").body()["replicas"][0]["readiness"], false);
  EXPECT_EQ(complete("0").status, 425) << "its drain timeout has passed";
  now += 0.1;
  first = load("GET").body()["replicas"][0];
  EXPECT_EQ(first["current_snapshot_identity"], "a");
  EXPECT_EQ(first["loading_state"]["stage"], "idle");
  const json answer = complete().body();
  EXPECT_EQ(answer["model"], "accounts/acct/models/m@a");
  EXPECT_EQ(answer["choices"][0]["text"], TokenFunction("a b", "a").text(4));
}

TEST_F(FireworksEmulator, InASyncSwapNewRequestsAreTooEarly) {
  create("d", R"(,"hotLoadTransitionType":"SYNC")");
  ASSERT_EQ(load("POST", R"({"identity":"a"})").status, 200);
  EXPECT_EQ(complete().status, 200) << "while it downloads";
  now += 0.55;
  EXPECT_EQ(complete().status, 425);
}

TEST_F(FireworksEmulator, ASignalBeforeTheManagerIsUpCrashesTheContainer) {
  create();
  const std::string pod = load("GET").body()["replicas"][0]["identity"];
  now -= 2;
  EXPECT_TRUE(load("GET").body()["replicas"].empty());
  EXPECT_EQ(load("POST", R"({"identity":"a"})").status, 502);
  now += 4;
  EXPECT_NE(load("GET").body()["replicas"][0]["identity"], pod);
  EXPECT_EQ(ask("GET", "/_state").body()["deployments"]["d"]["crashes"], 1);
}

TEST_F(FireworksEmulator, ADeltaNeedsItsParentAndALedgerThatWasNotReset) {
  create();
  const std::string delta = R"({"identity":"b","incremental_snapshot_metadata":{"previous_snapshot_identity":"a",)"
                            R"("compression_format":"arc_v2"}})";
  EXPECT_EQ(load("POST", delta).status, 400);
  ASSERT_EQ(load("POST", R"({"identity":"a"})").status, 200);
  now += 1;
  EXPECT_EQ(ask("DELETE", std::string(kDeployments) + "/d/ledger").status, 200);
  EXPECT_EQ(load("POST", delta).status, 400);
  ASSERT_EQ(load("POST", R"({"identity":"a2"})").status, 200);
  now += 1;
  turn({{"wrong_parent", "accept"}});
  ASSERT_EQ(load("POST", delta).status, 200);
  now += 1;
  const json first = load("GET").body()["replicas"][0];
  EXPECT_EQ(first["loading_state"]["stage"], "error");
  EXPECT_EQ(first["loading_state"]["target_snapshot_identity"], "b");
  EXPECT_EQ(first["current_snapshot_identity"], "a2") << "the old weights go on";
  const json rows = ask("GET", std::string(kDeployments) + "/d/ledger").body()["entries"];
  EXPECT_EQ(rows[0]["identity"], "b");
  EXPECT_TRUE(rows[0].contains("error"));
  EXPECT_EQ(rows[1]["ready_at"].size(), 2u);
}

TEST_F(FireworksEmulator, APatchWithoutAMaskReplacesEverythingThatIsMutable) {
  create("d", R"(,"displayName":"one","description":"two")");
  const std::string path = std::string(kDeployments) + "/d";
  json after =
      ask("PATCH", path + "?updateMask=display_name", R"({"displayName":"new","description":"ignored"})").body();
  EXPECT_EQ(after["displayName"], "new");
  EXPECT_EQ(after["description"], "two");
  EXPECT_EQ(ask("PATCH", path + "?updateMask=base_model", R"({"baseModel":"x"})").status, 400);
  EXPECT_EQ(ask("PATCH", path, R"({"nonsense":1})").status, 400);
  after = ask("PATCH", path, R"({"minReplicaCount":0,"maxReplicaCount":0})").body();
  EXPECT_FALSE(after.contains("displayName"));
  EXPECT_FALSE(after.contains("enableHotLoad"));
  EXPECT_EQ(after["replicaCount"], 0);
  EXPECT_THAT(complete().text, HasSubstr("DEPLOYMENT_SCALING_UP"));
}

TEST_F(FireworksEmulator, ListsCreatesDeletesAndBringsBack) {
  for (const char* id : {"a", "b", "d"}) create(id);
  EXPECT_EQ(ask("POST", std::string(kDeployments) + "?deploymentId=a", R"({"baseModel":"m"})").status, 409);
  json page = ask("GET", std::string(kDeployments) + "?pageSize=2").body();
  EXPECT_EQ(page["deployments"].size(), 2u);
  page = ask("GET", std::string(kDeployments) + "?pageSize=2&pageToken=" + page["nextPageToken"].get<std::string>())
             .body();
  ASSERT_EQ(page["deployments"].size(), 1u);
  EXPECT_EQ(page["deployments"][0]["name"], "accounts/acct/deployments/d");
  EXPECT_EQ(page["nextPageToken"], "");
  EXPECT_EQ(ask("GET", std::string(kDeployments) + "/none").status, 404);
  EXPECT_EQ(ask("DELETE", std::string(kDeployments) + "/d").status, 200);
  EXPECT_EQ(load("GET").status, 404);
  EXPECT_EQ(ask("GET", std::string(kDeployments) + "/d").body()["state"], "DELETED");
  EXPECT_EQ(ask("POST", std::string(kDeployments) + "/d:undelete", "{}").status, 200);
  now += 3;
  EXPECT_EQ(load("GET").body()["replicas"].size(), 2u);
}

TEST_F(FireworksEmulator, NewReplicasCatchUpByThemselvesUnlessToldNot) {
  create();
  ASSERT_EQ(load("POST", R"({"identity":"a"})").status, 200);
  now += 1;
  EXPECT_EQ(load("GET").body()["replicas"][0]["current_snapshot_identity"], "a");
  EXPECT_EQ(ask("PATCH", std::string(kDeployments) + "/d:scale", R"({"replicaCount":3})").status, 200);
  now += 2.5;
  EXPECT_TRUE(load("GET").body()["replicas"][2]["current_snapshot_identity"].is_null());
  now += 1;
  EXPECT_EQ(load("GET").body()["replicas"][2]["current_snapshot_identity"], "a");
  turn({{"newcomers_catch_up", false}});
  EXPECT_EQ(ask("PATCH", std::string(kDeployments) + "/d:scale", R"({"replicaCount":4})").status, 200);
  now += 60;
  EXPECT_TRUE(load("GET").body()["replicas"][3]["current_snapshot_identity"].is_null());
}

TEST_F(FireworksEmulator, KnobsKeepTheirTypes) {
  EXPECT_EQ(ask("POST", "/_knob", R"({"no_such":1})").status, 400);
  EXPECT_EQ(ask("POST", "/_knob", R"({"download_s":"long"})").status, 400);
  EXPECT_EQ(ask("POST", "/_knob", R"({"bad":[1]})").status, 400);
  EXPECT_EQ(ask("GET", "/_knob").body()["download_s"], 0.5);
  Knobs knobs(fireworks::default_knobs());
  EXPECT_TRUE(knobs.assign("download_s=3").ok());
  EXPECT_TRUE(knobs.assign("idle_stage=resting").ok());
  EXPECT_FALSE(knobs.assign("idle_stage").ok());
  EXPECT_EQ(knobs.number("download_s"), 3);
}

class FireworksBucket : public FireworksEmulator {
 protected:
  FireworksBucket() {
    std::string pattern = testing::TempDir() + "/ebb-bucket-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(folder / "a");
    write("a/config.json", "{}");
    write("a/model.safetensors.index.json", R"({"weight_map":{"t":"model-1.safetensors"}})");
  }
  ~FireworksBucket() override { std::filesystem::remove_all(folder); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder / name) << text; }
  std::filesystem::path folder;
};

TEST_F(FireworksBucket, ALoadLooksForItsFiles) {
  fireworks::Config config = settings();
  config.bucket = folder.string();
  fireworks::Service other(io, config, [this] { return now; });
  const auto port = other.start();
  ASSERT_TRUE(port.ok());
  at.port = *port;
  create();
  ASSERT_EQ(load("POST", R"({"identity":"a"})").status, 200);
  now += 1;
  EXPECT_THAT(load("GET").text, HasSubstr("missing shard"));
  write("a/model-1.safetensors", "x");
  ASSERT_EQ(load("POST", R"({"identity":"a"})").status, 200);
  now += 1;
  EXPECT_EQ(load("GET").body()["replicas"][0]["current_snapshot_identity"], "a");
  io.restart();
  other.stop();
  io.poll();
}

class CoreweaveEmulator : public VendorEmulator<coreweave::Service, coreweave::Config> {
 protected:
  static constexpr const char* kId = "6f0c1c2e-0000-4000-8000-000000000001";
  static constexpr const char* kLoads = "/v1alpha1/inference/hotLoads";
  Page load(const std::string& identity, const std::string& parent = "", const std::string& id = "") {
    json body;
    body["deploymentId"] = kId;
    body["identity"] = identity;
    body["type"] = parent.empty() ? "SNAPSHOT_TYPE_FULL" : "SNAPSHOT_TYPE_INCREMENTAL";
    if (!parent.empty()) body["incrementalSnapshotMetadata"]["previousSnapshotIdentity"] = parent;
    if (!id.empty()) body["hotLoadId"] = id;
    return ask("POST", kLoads, body.dump());
  }
};

TEST_F(CoreweaveEmulator, OneHotLoadAtATimeAndTheLockHoldsUpdatesToo) {
  service.create(kId, 2);
  const std::string id = load("a").body()["id"];
  EXPECT_EQ(load("b").status, 400);
  EXPECT_EQ(load("b").body()["code"], "failed_precondition");
  const std::string deployment = std::string("/v1alpha1/inference/deployments/") + kId;
  EXPECT_EQ(ask("PATCH", deployment, R"({"autoscaling":{"min":3}})").status, 400);
  turn({{"interlock_status", 409}, {"error_shape", "gateway"}});
  EXPECT_EQ(load("b").status, 409);
  EXPECT_EQ(load("b").body()["code"], 10);
  EXPECT_EQ(ask("POST", std::string(kLoads) + "/" + id + ":cancel", "{}").status, 501);
  now += 1.1;
  json page = ask("GET", std::string(kLoads) + "/" + id + "/replicas").body();
  EXPECT_EQ(page["replicas"][0]["currentSnapshotIdentity"], "a");
  EXPECT_EQ(page["replicas"][0]["state"], "READY");
  EXPECT_EQ(page["replicas"][1]["state"], "LOADING");
  now += 0.2;
  EXPECT_EQ(ask("GET", std::string(kLoads) + "/" + id).body()["status"]["state"], "HOT_LOAD_STATE_COMPLETED");
  EXPECT_EQ(load("b", "a").body()["snapshotChain"], json::array({"a", "b"}));
  now += 2;
  EXPECT_EQ(ask("PATCH", deployment, R"({"autoscaling":{"min":0}})").status, 400) << "there is no zero";
  EXPECT_EQ(ask("PATCH", deployment, R"({"autoscaling":{"min":3}})").status, 200);
}

TEST_F(CoreweaveEmulator, RefusesWhatTheReferenceRefuses) {
  service.create(kId, 1);
  const std::string head = std::string(R"({"deploymentId":")") + kId + R"(","identity":"a")";
  EXPECT_EQ(ask("POST", kLoads, head + "}").status, 400);
  EXPECT_EQ(ask("POST", kLoads, head + R"(,"type":"SNAPSHOT_TYPE_UNSPECIFIED"})").status, 400);
  EXPECT_EQ(ask("POST", kLoads, head + R"(,"type":"SNAPSHOT_TYPE_INCREMENTAL"})").status, 400);
  EXPECT_EQ(ask("POST", kLoads, head + R"(,"type":"SNAPSHOT_TYPE_FULL","bucket":"x"})").status, 400);
  EXPECT_EQ(load("b", "nobody").status, 400);
  EXPECT_EQ(load("a", "", "one").status, 200);
  EXPECT_EQ(load("a", "", "one").status, 409);
  EXPECT_EQ(load("a", "", "one").body()["code"], "already_exists");
}

TEST_F(CoreweaveEmulator, PagesAreBoundToWhatTheyAreOf) {
  service.create(kId, 3);
  turn({{"load_s", 0.0}, {"step_s", 0.0}});
  for (const char* name : {"a", "b", "c"}) ASSERT_EQ(load(name).status, 200);
  const std::string base = std::string(kLoads) + "?parentDeploymentId=" + kId;
  json page = ask("GET", base + "&maxPageSize=2").body();
  EXPECT_EQ(page["hotLoads"][0]["spec"]["identity"], "c") << "newest first";
  const std::string token = page["nextPageToken"];
  EXPECT_EQ(ask("GET", base + "&maxPageSize=2&pageToken=" + token).body()["hotLoads"].size(), 1u);
  EXPECT_EQ(ask("GET", std::string(kLoads) + "?pageToken=" + token).status, 400) << "another filter";
  EXPECT_EQ(ask("GET", base + "&maxPageSize=-1").status, 400);
  const std::string id = page["hotLoads"][0]["id"];
  page = ask("GET", std::string(kLoads) + "/" + id + "/replicas?maxPageSize=2").body();
  EXPECT_EQ(page["replicas"].size(), 2u);
  const std::string other = ask("GET", base).body()["hotLoads"][1]["id"];
  EXPECT_EQ(
      ask("GET", std::string(kLoads) + "/" + other + "/replicas?pageToken=" + page["nextPageToken"].get<std::string>())
          .status,
      400);
}

}  // namespace
}  // namespace ebb::emulator
