// docs/openapi.yaml against the router and against what the API really answers.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "tests/api/api_fixture.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;

YAML::Node document() { return YAML::LoadFile(std::string(EBB_SOURCE_DIR) + "/docs/openapi.yaml"); }

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

TEST(OpenApi, NamesEveryRouteAndNoOther) {
  std::set<std::string> described, routed;
  const YAML::Node file = document();
  for (const auto& path : file["paths"]) {
    for (const auto& operation : path.second) {
      const auto method = operation.first.as<std::string>();
      if (method != "parameters") described.insert(upper(method) + " " + path.first.as<std::string>());
    }
  }
  for (const Route& route : routes()) routed.insert(std::string(route.method) + " " + route.pattern);
  routed.insert("GET /");
  EXPECT_EQ(described, routed);
}

TEST(OpenApi, SaysWhichRoutesAreOpen) {
  const YAML::Node file = document();
  for (const Route& route : routes()) {
    std::string method = route.method;
    std::transform(method.begin(), method.end(), method.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const YAML::Node operation = file["paths"][route.pattern][method];
    const YAML::Node security = operation["security"];
    const bool described_open = security && security.size() == 0;
    EXPECT_EQ(described_open, route.scope == Scope::open) << route.pattern;
    EXPECT_TRUE(operation["summary"]) << route.pattern;
  }
}

/// The fields of an answer are those of its schema: none missing that is required, none that is not described.
class Shape {
 public:
  explicit Shape(const YAML::Node& file) : file_(file) {}

  void check(const YAML::Node& schema, const json& value, const std::string& where) {
    if (schema["$ref"]) return check(referred(schema["$ref"].as<std::string>()), value, where);
    const std::string wrong = fault(schema["type"], value);
    ASSERT_TRUE(wrong.empty()) << where << ": " << wrong << " " << value.dump().substr(0, 80);
    if (value.is_object()) check_object(schema, value, where);
    if (!value.is_array()) return;
    ASSERT_TRUE(schema["items"]) << where;
    for (std::size_t i = 0; i < std::min<std::size_t>(value.size(), 5); ++i) {
      check(schema["items"], value[i], where + "[" + std::to_string(i) + "]");
    }
  }

 private:
  YAML::Node referred(const std::string& path) {
    const std::string prefix = "#/components/schemas/";
    EXPECT_EQ(path.rfind(prefix, 0), 0u) << path;
    const YAML::Node schema = file_["components"]["schemas"][path.substr(prefix.size())];
    EXPECT_TRUE(schema) << path;
    return schema;
  }

  static std::string fault(const YAML::Node& type, const json& value) {
    if (!type) return "";
    const auto fits = [&](const std::string& name) {
      return (name == "object" && value.is_object()) || (name == "array" && value.is_array()) ||
             (name == "string" && value.is_string()) || (name == "boolean" && value.is_boolean()) ||
             (name == "null" && value.is_null()) || (name == "number" && value.is_number()) ||
             (name == "integer" && value.is_number_integer());
    };
    if (type.IsScalar()) return fits(type.as<std::string>()) ? "" : "is not of type " + type.as<std::string>();
    for (const auto& one : type) {
      if (fits(one.as<std::string>())) return "";
    }
    return "is of none of its types";
  }

  void check_object(const YAML::Node& schema, const json& value, const std::string& where) {
    const YAML::Node properties = schema["properties"];
    const YAML::Node rest = schema["additionalProperties"];
    for (const auto& name : schema["required"]) {
      EXPECT_TRUE(value.contains(name.as<std::string>())) << where << " lacks " << name.as<std::string>();
    }
    for (const auto& [name, field] : value.items()) {
      const YAML::Node known = properties ? properties[name] : YAML::Node(YAML::NodeType::Undefined);
      if (known.IsDefined()) {
        check(known, field, where + "." + name);
      } else if (rest && rest.IsMap()) {
        check(rest, field, where + "." + name);
      } else {
        ADD_FAILURE() << where << "." << name << " is not described";
      }
    }
  }

  YAML::Node file_;
};

TEST_F(ApiFixture, AnswersHaveTheDocumentedFields) {
  const YAML::Node file = document();
  (void)ask("POST", "/v1/overrides",
            R"({"kind":"pin","target":"rl@p","replicas":2,"reason":"r","owner":"o","ttl":"1m"})");
  (void)ask("PUT", "/v1/jobs/rl/demand", R"({"replicas":3,"ttl":"1m"})");
  Decision decision = *control.board.decision;
  decision.alarms.push_back({"leases.lost", "rl@p"});
  control.board.decision = std::make_shared<const Decision>(decision);
  const std::vector<std::pair<const char*, const char*>> table{
      {"/v1/status", "/v1/status"},
      {"/v1/pools", "/v1/pools"},
      {"/v1/services", "/v1/services"},
      {"/v1/jobs", "/v1/jobs"},
      {"/v1/replicas", "/v1/replicas"},
      {"/v1/decisions", "/v1/decisions?limit=60"},
      {"/v1/decisions/{tick}", "/v1/decisions/21"},
      {"/v1/explain", "/v1/explain"},
      {"/v1/overrides", "/v1/overrides"},
      {"/v1/history", "/v1/history"},
      {"/v1/config", "/v1/config"},
  };
  for (const auto& [path, target] : table) {
    SCOPED_TRACE(target);
    const YAML::Node schema = file["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    ASSERT_TRUE(schema.IsDefined());
    Shape(file).check(schema, get(target), path);
  }
  const Response missing = ask("GET", "/v1/decisions/9999");
  Shape(file).check(file["components"]["schemas"]["Problem"], json::parse(missing.body), "problem");
}

TEST_F(ApiFixture, DocumentedBodiesAreAccepted) {
  const YAML::Node file = document();
  const auto example = [&](const char* path, const char* method) {
    return file["paths"][path][method]["requestBody"]["content"]["application/json"]["examples"];
  };
  for (const auto& one : example("/v1/overrides", "post")) {
    const Response response = ask("POST", "/v1/overrides", one.second["value"].as<std::string>());
    EXPECT_EQ(response.status, 201) << response.body;
    Shape(file).check(file["components"]["schemas"]["Override"], json::parse(response.body), "override");
  }
  for (const auto& one : example("/v1/jobs/{job}/demand", "put")) {
    const Response response = ask("PUT", "/v1/jobs/rl/demand", one.second["value"].as<std::string>());
    EXPECT_EQ(response.status, 200) << response.body;
    Shape(file).check(file["components"]["schemas"]["DemandSet"], json::parse(response.body), "demand");
  }
}

}  // namespace
}  // namespace ebb::test
