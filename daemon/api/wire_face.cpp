#include "daemon/api/wire_face.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "daemon/api/answers.hpp"
#include "daemon/model/json_text.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {
namespace {

using nlohmann::json;

constexpr int kDepthMax = 3;
constexpr std::size_t kTextMax = 200;
constexpr std::size_t kOptionsMax = 100;

/// Inside this file only.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// An object whose every key is one of `known`.
const json& object_of(const json& value, const std::string& path, const std::set<std::string>& known) {
  if (!value.is_object()) throw Refused("Input should be an object, field: '" + path + "'");
  for (const auto& [name, field] : value.items()) {
    if (known.contains(name)) continue;
    const std::string where = path.empty() ? name : path + "." + name;
    const std::string shown = field.is_boolean() ? (field.get<bool>() ? "True" : "False") : json_text(field);
    throw Refused("Extra inputs are not permitted, field: '" + where.substr(0, kTextMax) +
                  "', value: " + shown.substr(0, kTextMax));
  }
  return value;
}

std::string text_of(const json& object, const char* name, bool required) {
  const auto at = object.find(name);
  if (at == object.end()) {
    if (required) throw Refused(std::string("Field required, field: '") + name + "'");
    return "";
  }
  if (!at->is_string()) throw Refused(std::string("Input should be a valid string, field: '") + name + "'");
  auto text = at->get<std::string>();
  const bool plain =
      std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (text.size() > kTextMax || !plain) throw Refused(std::string("String is not acceptable, field: '") + name + "'");
  return text;
}

void take_increment(const json& value, Publication& said) {
  const json& increment = object_of(value, "incremental_snapshot_metadata",
                                    {"previous_snapshot_identity", "compression_format", "checksum_format"});
  said.kind = SnapshotKind::incremental;
  said.parent = Identity(text_of(increment, "previous_snapshot_identity", true));
  said.compression_format = text_of(increment, "compression_format", true);
  said.checksum_format = text_of(increment, "checksum_format", false);
}

/// A word, or what older clients send: true for all, false for none.
std::string reset_of(const json& value) {
  if (value.is_boolean()) return to_string(value.get<bool>() ? ResetCache::all : ResetCache::none);
  std::string word = value.is_string() ? value.get<std::string>() : "";
  if (!reset_cache_from(word)) {
    throw Refused("Input should be 'all', 'new_session' or 'none', field: 'reset_prompt_cache'");
  }
  return word;
}

void take_validation(const json& value, Publication& said) {
  const json& validation = object_of(value, "validation", {"extra_fields_ignore"});
  const auto at = validation.find("extra_fields_ignore");
  if (at == validation.end()) return;
  if (!at->is_array() || at->size() > kOptionsMax)
    throw Refused("Input should be a list, field: 'extra_fields_ignore'");
  for (const json& name : *at) {
    if (!name.is_string() || name.get<std::string>().size() > kTextMax) {
      throw Refused("Input should be a valid string, field: 'extra_fields_ignore'");
    }
    said.ignored_options.push_back(name.get<std::string>());
  }
}

/// Refuses depth and doubled keys while parsing, before anything large has been built.
json parsed(const std::string& body) {
  std::vector<std::set<std::string>> seen(kDepthMax + 2);
  return json::parse(body, [&seen](int depth, json::parse_event_t event, json& value) {
    const bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth >= kDepthMax) throw Refused("The body is nested too deep");
    if (opens) seen[static_cast<std::size_t>(depth) + 1].clear();
    if (event == json::parse_event_t::key) {
      if (!seen[static_cast<std::size_t>(depth)].insert(value.get<std::string>()).second) {
        throw Refused("A field is given twice");
      }
    }
    return true;
  });
}

}  // namespace

Result<Publication> publication_from_wire(const std::string& body) {
  try {
    const json given = parsed(body);
    const json& fields =
        object_of(given, "", {"identity", "incremental_snapshot_metadata", "reset_prompt_cache", "validation"});
    Publication said;
    said.identity = Identity(text_of(fields, "identity", true));
    if (const auto at = fields.find("incremental_snapshot_metadata"); at != fields.end()) take_increment(*at, said);
    if (const auto at = fields.find("reset_prompt_cache"); at != fields.end()) said.reset_cache = reset_of(*at);
    if (const auto at = fields.find("validation"); at != fields.end()) take_validation(*at, said);
    return said;
  } catch (const Refused& refused) {
    return Error{ErrorCode::invalid, refused.what(), false};
  } catch (const json::exception&) {
    return Error{ErrorCode::invalid, "The body is not JSON in UTF-8", false};
  }
}

std::string job_asked(const std::map<std::string, std::string>& params, const Request& request) {
  if (const auto at = params.find("job"); at != params.end()) return at->second;
  const std::string deployment = request.header("fireworks-deployment");
  return deployment.substr(deployment.rfind('/') + 1);
}

bool is_wire_path(const std::string& path) {
  return path.rfind("/hot_load/", 0) == 0 || path.rfind("/v1/accounts/", 0) == 0;
}

Response as_wire(Response response) {
  if (response.content_type != "application/problem+json") return response;
  const json told = json::parse(response.body, nullptr, false);
  json error = json::object();
  error["message"] = told.is_object() ? told.value("detail", "") : "";
  error["code"] = response.status;
  json body = json::object();
  body["error"] = std::move(error);
  response.content_type = "application/json";
  response.body = json_text(body);
  return response;
}

}  // namespace ebb
