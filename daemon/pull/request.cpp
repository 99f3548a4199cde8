#include "daemon/pull/request.hpp"

#include "daemon/pull/strict_json.hpp"

namespace ebb::pull {
namespace {

using nlohmann::json;

constexpr int kDepthMax = 3;  // the body, the path, a step

Error invalid(std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; }

Result<PathStep> step_from(const json& said) {
  if (!said.is_object()) return invalid("a step of the path is no object");
  for (const auto& [key, value] : said.items()) {
    if (key != "identity" && key != "kind" && key != "parent")
      return invalid("'" + shim::printable(key.substr(0, 64)) + "' is not a field of a step");
    const bool absent = key == "parent" && value.is_null();
    if (!value.is_string() && !absent) return invalid("'" + key + "' must be a string");
  }
  if (!said.contains("identity") || !said.contains("kind")) return invalid("a step has an identity and a kind");
  PathStep step;
  step.identity = said["identity"].get<std::string>();
  const auto kind = said["kind"].get<std::string>();
  if (kind != "full" && kind != "incremental") return invalid("'kind' must be full or incremental");
  step.kind = kind == "full" ? SnapshotKind::full : SnapshotKind::incremental;
  if (said.contains("parent") && said["parent"].is_string()) step.parent = said["parent"].get<std::string>();
  return step;
}

}  // namespace

Result<Path> path_from(const std::string& body, const std::string& identity) {
  const Result<json> read = parse_strictly(body, kDepthMax);
  if (!read.ok()) return invalid("the body: " + read.error().what);
  if (!read->is_object() || !read->contains("path") || !read->at("path").is_array())
    return invalid("the body must be {\"path\": [...]}");
  for (const auto& [key, value] : read->items()) {
    if (key != "path") return invalid("'" + shim::printable(key.substr(0, 64)) + "' is not a field of this request");
  }
  Path path;
  for (const json& said : read->at("path")) {
    Result<PathStep> step = step_from(said);
    if (!step.ok()) return step.error();
    path.push_back(std::move(*step));
  }
  if (const std::string fault = path_fault(path); !fault.empty()) return invalid(fault);
  if (path.back().identity != identity) return invalid("the path leads to '" + path.back().identity + "'");
  return path;
}

}  // namespace ebb::pull
