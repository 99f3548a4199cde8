// What is generated from the option declarations is up to date, and full.yaml says what the code does.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <set>
#include <sstream>

#include "config/describe.hpp"
#include "config/load.hpp"

namespace ebb {
namespace {

std::string content(const std::string& path) {
  std::ifstream in(std::string(EBB_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(in) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Generated, TheManualIsUpToDate) {
  EXPECT_EQ(content("docs/configuration.md"), config_markdown()) << "run: build/.../bin/ebb-config-docs .";
}

TEST(Generated, TheSchemaIsUpToDate) {
  EXPECT_EQ(content("config/ebb.schema.json"), config_schema()) << "run: build/.../bin/ebb-config-docs .";
}

/// Every "a.b[].c" there is in a document.
void collect(const YAML::Node& node, const std::string& path, std::set<std::string>& out) {
  if (node.IsMap()) {
    for (const auto& pair : node) {
      const std::string inner = path + (path.empty() ? "" : ".") + pair.first.Scalar();
      out.insert(inner);
      collect(pair.second, inner, out);
    }
  } else if (node.IsSequence()) {
    for (const YAML::Node& item : node) collect(item, path + "[]", out);
  }
}

std::set<std::string> paths_in(const std::string& text) {
  std::set<std::string> out;
  collect(YAML::Load(text), "", out);
  return out;
}

TEST(FullExample, ShowsEveryOption) {
  const std::string text = content("config/examples/full.yaml");
  const Loaded loaded = load_config_text(text, "full.yaml");
  ASSERT_TRUE(loaded.config) << to_text(loaded.problems);
  EXPECT_EQ(paths_in(text), paths_in(describe(*loaded.config)));
}

TEST(FullExample, HasExactlyTheDefaults) {
  // The same file with nothing in it but what has no default.
  const char* required = R"(
pools: [{name: main}]
fleets: [{name: here, pool: main}]
services:
  - name: chat
    deployments: [{pool: main, sources: [{targets: ["http://127.0.0.1:8000"]}]}]
jobs:
  - name: rl
    deployments: [{pool: main, fleet: here, command: [my-engine, --port, "{port}"]}]
    snapshots: {elsewhere: [{name: there}]}
api: {tokens: [{name: admin, secret: "env:EBB_TOKEN"}]}
backtest: {signals: [{signal: in_flight}], policies: [{name: hpa}]}
)";
  const Loaded bare = load_config_text(required, "bare.yaml");
  ASSERT_TRUE(bare.config) << to_text(bare.problems);
  const Loaded full = load_config_text(content("config/examples/full.yaml"), "full.yaml");
  ASSERT_TRUE(full.config);
  EXPECT_EQ(describe(*full.config), describe(*bare.config));
}

TEST(FullExample, EveryOptionHasAComment) {
  std::istringstream in(content("config/examples/full.yaml"));
  std::string before, line;
  while (std::getline(in, line)) {
    const auto start = line.find_first_not_of(" -");
    const bool option = start != std::string::npos && line[start] != '#' && line.find("policy:") == std::string::npos;
    if (option) {
      EXPECT_NE(before.find("#"), std::string::npos) << "no comment above: " << line;
    }
    before = line;
  }
}

}  // namespace
}  // namespace ebb
