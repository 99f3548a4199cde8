#include "daemon/ctl/snapshots.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ebb::ctl {
namespace {

using nlohmann::json;

json replica(const std::string& name, const std::string& phase, const json& identity, const json& target) {
  json out = json::object();
  out["replica"] = name;
  out["deployment"] = "rl@p";
  out["phase"] = phase;
  out["identity"] = identity;
  out["target"] = target;
  out["error"] = phase == "failed" ? "bad\033[2J" : "";
  return out;
}

TEST(ShowProgress, EveryReplicaHasABar) {
  json answer = json::object();
  answer["identity"] = "b";
  answer["kind"] = "incremental";
  answer["phase"] = "loading";
  answer["reason"] = "";
  answer["replicas"] = json::array();
  answer["replicas"].push_back(replica("r0", "serving", "b", "b"));
  answer["replicas"].push_back(replica("r1", "loading", "a", "b"));
  answer["replicas"].push_back(replica("r2", "base", nullptr, nullptr));
  answer["replicas"].push_back(replica("r3", "failed", "a", "b"));
  const std::string text = show_progress(answer, false);
  EXPECT_NE(text.find("r0       [##########]  serving"), std::string::npos) << text;
  EXPECT_NE(text.find("r1       [#####.....]  loading"), std::string::npos) << text;
  EXPECT_NE(text.find("r2       [..........]  base"), std::string::npos) << text;
  EXPECT_EQ(text.find('\033'), std::string::npos) << "an engine's words must not move the cursor";
}

TEST(ShowSnapshots, SizesAreReadAtAGlance) {
  json one = json::object();
  for (const char* name : {"identity", "run", "kind", "phase", "reason"}) one[name] = "x";
  one["published_at"] = "2026-03-01T14:03:20.125Z";
  one["step"] = 3;
  one["bytes"] = 3'221'225'472;
  json answer = json::object();
  answer["snapshots"] = json::array();
  answer["snapshots"].push_back(one);
  answer["snapshots"][0]["identity"] = "old";
  answer["snapshots"][0]["prunable"] = true;
  EXPECT_EQ(show_prunable(answer, false), "old\n");
  const std::string text = show_snapshots(answer, false);
  EXPECT_NE(text.find("3.0 GiB"), std::string::npos) << text;
  EXPECT_NE(text.find("2026-03-01T14:03:20Z"), std::string::npos) << text;
}

}  // namespace
}  // namespace ebb::ctl
