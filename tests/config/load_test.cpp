#include "config/load.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "config/describe.hpp"

namespace ebb {
namespace {

const std::string kExamples = std::string(EBB_SOURCE_DIR) + "/config/examples/";

TEST(Load, EveryExampleIsValid) {
  for (const char* name : {"full", "local", "prometheus", "vllm-external", "vllm-one-host"}) {
    const Loaded loaded = load_config(kExamples + name + ".yaml");
    EXPECT_TRUE(loaded.config) << to_text(loaded.problems);
  }
}

TEST(Load, WhatIsNotNamedAdvises) {
  const Loaded loaded = load_config_text("pools: [{name: p}]\n", "x.yaml");
  ASSERT_TRUE(loaded.config) << to_text(loaded.problems);
  EXPECT_EQ(loaded.config->mode, Mode::advise);
}

TEST(Load, DescribingAndLoadingAgainChangesNothing) {
  for (const char* name : {"full", "local", "prometheus", "vllm-external", "vllm-one-host"}) {
    const Loaded first = load_config(kExamples + name + ".yaml");
    ASSERT_TRUE(first.config);
    const std::string text = describe(*first.config);
    const Loaded second = load_config_text(text, name);
    ASSERT_TRUE(second.config) << to_text(second.problems) << text;
    EXPECT_EQ(describe(*second.config), text);
    EXPECT_EQ(second.config->hash, first.config->hash);
  }
}

TEST(Load, TheHashFollowsWhatMattersAndNothingElse) {
  const auto hash = [](const std::string& text) { return load_config_text(text, "x").config->hash; };
  EXPECT_EQ(hash("pools: [{name: a}, {name: b}]\n"), hash("# comment\npools:\n  - name: b\n  - name: a\n"));
  EXPECT_NE(hash("pools: [{name: a}]\n"), hash("pools: [{name: a, gpus: 2}]\n"));
  EXPECT_EQ(hash("pools: [{name: a}]\n").size(), 16u);
}

TEST(Load, ListsAreSortedAndDeploymentsNamed) {
  const Loaded loaded = load_config(kExamples + "local.yaml");
  EXPECT_EQ(loaded.config->services.at(0).deployments.at(0).id, DeploymentId("chat@local"));
  const Loaded sorted = load_config_text("pools: [{name: b}, {name: a}]\n", "x");
  EXPECT_EQ(sorted.config->pools.at(0).name, PoolId("a"));
}

TEST(Load, ASecretStaysAReference) {
  const Loaded loaded =
      load_config_text("pools: [{name: p}]\napi: {tokens: [{name: a, secret: \"env:PATH\", scopes: [read]}]}\n", "x");
  ASSERT_TRUE(loaded.config);
  EXPECT_NE(describe(*loaded.config).find("env:PATH"), std::string::npos);
}

TEST(CheckConfig, SaysOkOrEverythingThatIsWrong) {
  std::ostringstream out, err;
  EXPECT_EQ(check_config_command(kExamples + "local.yaml", out, err), 0);
  EXPECT_NE(out.str().find("local.yaml: ok, hash "), std::string::npos);
  EXPECT_TRUE(err.str().empty());
  EXPECT_EQ(check_config_command("/nonexistent", out, err), 2);
  EXPECT_EQ(err.str(), "/nonexistent: there is no such file\n");
}

}  // namespace
}  // namespace ebb
