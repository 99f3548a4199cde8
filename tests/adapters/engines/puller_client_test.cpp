#include <gmock/gmock.h>

#include "adapters/engines/puller.hpp"
#include "tests/adapters/engines/rig.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// Answers as ebb-pull does; each question takes it one word of its script further.
class Puller {
 public:
  explicit Puller(boost::asio::io_context& io)
      : server_(io, [this](emulator::HttpRequestIn in, std::shared_ptr<emulator::HttpReply> reply) {
          return handle(std::move(in), std::move(reply));
        }) {
    port_ = *server_.listen("127.0.0.1", 0);
  }
  ~Puller() { server_.close_all(); }
  std::vector<std::string> script;  ///< "pulling", "ready", "failed", "hopeless", "404"; the last one stays
  std::vector<std::string> asked;
  std::string directory;
  [[nodiscard]] std::string port() const { return std::to_string(port_); }

 private:
  awaitable<void> handle(emulator::HttpRequestIn in, std::shared_ptr<emulator::HttpReply> reply) {
    asked.push_back(in.head.method + " " + in.path + " " + in.body);
    const std::string word = script.front();
    if (script.size() > 1) script.erase(script.begin());
    json body = json::object();
    body["state"] = word == "hopeless" ? "failed" : word;
    body["directory"] = directory;
    body["error"] = "checksum of layer 3";
    body["retryable"] = word == "failed";
    emulator::Headers headers;
    headers["content-type"] = "application/json";
    std::string text = body.dump();
    co_await reply->send(word == "404" ? 404 : 200, std::move(headers), std::move(text));
  }
  emulator::HttpServer server_;
  std::uint16_t port_ = 0;
};

struct PullRig : EngineRig {
  PullRig() : EngineRig(HotloadKind::vllm) {
    hotload.weights_from = WeightsFrom::ebb_pull;
    hotload.puller = "http://{host}:" + puller.port();
    puller.directory = store.path() + "/local";
  }
  Status stage(const std::string& identity, Duration limit) {
    LoadOrder what = order(identity);
    what.path[0].said.kind = SnapshotKind::incremental;
    what.path[0].said.parent = Identity("s0");
    Snapshot first;
    first.said.identity = Identity("s0");
    what.path.insert(what.path.begin(), first);
    return run(daemon().stage(what, addresses(), in(limit)));
  }
  Puller puller{io};
};

TEST(PullerClient, OneHostIsAskedOnceAndItsDirectoryIsWhatTheEnginesLoad) {
  PullRig rig;
  rig.add();
  StandIn& two = rig.add();
  rig.puller.script = {"pulling", "pulling", "ready"};
  rig.write("local", 1);
  ASSERT_TRUE(rig.stage("s1", Duration{10'000}).ok());
  ASSERT_EQ(rig.puller.asked.size(), 3u);
  EXPECT_EQ(rig.puller.asked[0],
            "PUT /v1/snapshots/s1 "
            R"({"path":[{"identity":"s0","kind":"full","parent":""},)"
            R"({"identity":"s1","kind":"incremental","parent":"s0"}]})");
  EXPECT_EQ(rig.puller.asked[1], "GET /v1/snapshots/s1 ");
  EXPECT_EQ(rig.load(rig.order("s1")).current, Identity("s1"));
  EXPECT_EQ(two.weights().model_path(), rig.store / "local");
}

TEST(PullerClient, WhatItWillNeverManageIsRefusedAndWhatItMayIsNot) {
  PullRig rig;
  rig.add();
  rig.puller.script = {"pulling", "hopeless"};
  const Status never = rig.stage("s1", Duration{10'000});
  ASSERT_FALSE(never.ok());
  EXPECT_EQ(never.error().code, ErrorCode::invalid);
  EXPECT_THAT(never.error().what, HasSubstr("checksum of layer 3"));
  rig.puller.script = {"pulling", "failed"};
  const Status later = rig.stage("s1", Duration{10'000});
  ASSERT_FALSE(later.ok());
  EXPECT_EQ(later.error().code, ErrorCode::unreachable);
}

TEST(PullerClient, APullerThatBeganAnewIsAskedAnew) {
  PullRig rig;
  rig.add();
  rig.puller.script = {"pulling", "404", "pulling", "ready"};
  EXPECT_TRUE(rig.stage("s1", Duration{10'000}).ok());
  EXPECT_THAT(rig.puller.asked[2], HasSubstr("PUT"));
}

TEST(PullerClient, ADeadlineEndsItAndNothingIsSignalledThatIsNotStaged) {
  PullRig rig;
  StandIn& one = rig.add();
  rig.puller.script = {"pulling"};
  const Status late = rig.stage("s1", Duration{600});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::unreachable);
  const Status told = rig.run(rig.daemon().signal(rig.order("s1"), rig.addresses(), rig.in(Duration{1'000})));
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error().code, ErrorCode::unreachable);
  EXPECT_EQ(one.weights().loads_begun(), 0);
}

}  // namespace
}  // namespace ebb::test
