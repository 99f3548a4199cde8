// One mistake a file, with what must be said about it in the first line: "# expect: line:column: message".
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "config/load.hpp"

namespace ebb {
namespace {

std::vector<std::string> files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(EBB_SOURCE_DIR) + "/tests/config/bad")) {
    out.push_back(entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(BadConfig, EachMistakeIsNamedAtItsPlace) {
  const std::vector<std::string> all = files();
  ASSERT_GE(all.size(), 100u);
  for (const std::string& file : all) {
    std::ifstream in(file);
    std::string expected;
    std::getline(in, expected);
    ASSERT_EQ(expected.rfind("# expect: ", 0), 0u) << file;
    const Loaded loaded = load_config(file);
    EXPECT_FALSE(loaded.config.has_value()) << file;
    // That and nothing else: one mistake must not be reported as three.
    EXPECT_EQ(to_text(loaded.problems), file + ":" + expected.substr(10) + "\n");
  }
}

TEST(BadConfig, ManyMistakesAreReportedAtOnceAndInOrder) {
  const Loaded loaded = load_config_text(
      "mode: live\ntikc: 5s\ntick: 90\npools:\n  - {name: p, gpus: 0}\n  - {name: p, gpus: .nan}\nservices: [3]\n",
      "x.yaml");
  ASSERT_FALSE(loaded.config);
  std::vector<int> lines;
  for (const Problem& problem : loaded.problems) lines.push_back(problem.line);
  EXPECT_TRUE(std::is_sorted(lines.begin(), lines.end()));
  EXPECT_EQ(lines, (std::vector<int>{1, 2, 3, 5, 6, 6, 7})) << to_text(loaded.problems);
}

TEST(BadConfig, ASecretIsNeverRepeated) {
  for (const char* text :
       {"api: {tokens: [{name: a, secret: hunter2}]}\n", "api: {tokens: [{name: a, secret: [hunter2]}]}\n",
        "api: {tokens: [{name: a, secert: hunter2}]}\n",
        "services: [{name: s, deployments: [{sources: [{kind: prometheus, endpoint: {basic_password: "
        "hunter2}}]}]}]\n"}) {
    const Loaded loaded = load_config_text(text, "x.yaml");
    ASSERT_FALSE(loaded.config);
    EXPECT_EQ(to_text(loaded.problems).find("hunter2"), std::string::npos) << to_text(loaded.problems);
  }
}

TEST(BadConfig, WhatIsNoFileIsSaidPlainly) {
  EXPECT_EQ(load_config("/nonexistent/ebb.yaml").problems.at(0).to_text(),
            "/nonexistent/ebb.yaml: there is no such file");
  EXPECT_EQ(load_config("/").problems.at(0).to_text(), "/: is a directory");
  EXPECT_FALSE(load_config_text(std::string(2 << 20, ' '), "big.yaml").config);
  EXPECT_FALSE(load_config_text(std::string("a\0b", 3), "nul.yaml").config);
}

TEST(BadConfig, BombsEndInAMessage) {
  for (const std::string& bomb : {std::string(20'000, '['), std::string(20'000, '{'), std::string(5'000, '-') + " a",
                                  "a: &a [1]\nb: *c\n" + std::string(100, ' ') + "x"}) {
    EXPECT_FALSE(load_config_text(bomb, "bomb.yaml").config);
  }
  std::string dashes;
  for (int i = 0; i < 20'000; ++i) dashes += "- ";
  EXPECT_FALSE(load_config_text(dashes + "a", "bomb.yaml").config);
}

}  // namespace
}  // namespace ebb
