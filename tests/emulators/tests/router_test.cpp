#include "tests/emulators/load/router.hpp"

#include <gtest/gtest.h>

namespace ebb::emulator {
namespace {

HostPort at(std::uint16_t port) {
  HostPort to;
  to.host = "127.0.0.1";
  to.port = port;
  return to;
}

TEST(Router, SendsToTheLeastBusy) {
  Router router;
  router.set_endpoints({at(1), at(2)});
  router.began(at(1));
  router.began(at(1));
  router.began(at(2));
  EXPECT_EQ(router.pick(0), at(2));
  router.ended(at(1));
  router.ended(at(1));
  EXPECT_EQ(router.pick(0), at(1));
}

TEST(Router, TakesTurnsBetweenEquals) {
  Router router;
  router.set_endpoints({at(1), at(2)});
  router.began(at(1));
  router.ended(at(1));
  EXPECT_EQ(router.pick(0), at(2));
}

TEST(Router, AvoidsWhoRefusedForAWhile) {
  Router router;
  router.set_endpoints({at(1)});
  router.avoid(at(1), 10);
  EXPECT_FALSE(router.pick(9));
  EXPECT_EQ(router.pick(10), at(1));
}

TEST(Router, ForgetsWhoLeftAndCountsWhoStays) {
  Router router;
  router.set_endpoints({at(1), at(2)});
  router.began(at(1));
  router.began(at(2));
  router.set_endpoints({at(2), at(3)});
  EXPECT_EQ(router.in_flight(at(2)), 1);
  EXPECT_EQ(router.pick(0), at(3));
  router.ended(at(1));  // its last request may still end
  router.set_endpoints({});
  EXPECT_FALSE(router.pick(0));
}

TEST(Replicas, ThatTheDaemonSaysDoNotServeAreLeftAlone) {
  const auto found = listed_from(R"({"replicas":[
      {"id":"r1","deployment":"rl@gpu","phase":"ready","serves":false,"address":"http://127.0.0.1:8001"},
      {"id":"r2","deployment":"rl@gpu","phase":"ready","serves":true,"address":"http://127.0.0.1:8002"}]})",
                                 "rl");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().id, "r2");
  EXPECT_EQ(found->front().at, at(8002));
}

TEST(Replicas, AreReadTolerantly) {
  const auto found = replicas_from(R"({"replicas":[
      {"deployment":"chat@gpu","phase":"ready","address":"http://127.0.0.1:8001"},
      {"deployment":"chat@gpu","phase":"draining","address":"http://127.0.0.1:8002"},
      {"deployment":"chat@gpu","phase":"ready","address":""},
      {"deployment":"chatty@gpu","phase":"ready","address":"http://127.0.0.1:8003"},
      {"deployment":"rl@gpu","phase":"serving","address":"http://127.0.0.1:8004"},
      {"deployment":7,"phase":"ready"}, "what", null]})",
                                   "chat");
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, std::vector<HostPort>{at(8001)});
  EXPECT_EQ(replicas_from(R"([{"job":"rl","phase":"serving","address":"http://127.0.0.1:8004"}])", "rl")->size(), 1u);
}

TEST(Replicas, AnAnswerThatIsNoListIsAnErrorNotAnEmptyList) {
  EXPECT_FALSE(replicas_from("", "chat"));
  EXPECT_FALSE(replicas_from("{}", "chat"));
  EXPECT_FALSE(replicas_from(R"({"replicas":null})", "chat"));
  EXPECT_TRUE(replicas_from(R"({"replicas":[]})", "chat"));
}

TEST(HostPortOf, ReadsUrls) {
  EXPECT_EQ(*host_port_from("http://127.0.0.1:80/x"), at(80));
  EXPECT_EQ(*host_port_from("localhost:80"), at(80));
  for (const char* bad : {"", "127.0.0.1", ":80", "http://127.0.0.1:", "127.0.0.1:0", "127.0.0.1:x", "a:99999"}) {
    EXPECT_FALSE(host_port_from(bad)) << bad;
  }
}

}  // namespace
}  // namespace ebb::emulator
