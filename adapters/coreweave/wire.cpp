#include "adapters/coreweave/wire.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "adapters/http/json_answer.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::coreweave {

using answer::excerpt;
using answer::member;
using answer::text_of;
using nlohmann::json;

namespace {

constexpr const char* kFull = "SNAPSHOT_TYPE_FULL";
constexpr const char* kIncremental = "SNAPSHOT_TYPE_INCREMENTAL";

/// FNV-1a, 64 bit, from any start.
std::uint64_t hashed(std::uint64_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

/// The finaliser of SplitMix64: one letter more changes half the bits.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return text;
}

Error malformed(const char* what) { return {ErrorCode::malformed, fmt::format("CoreWeave: {}", what), true}; }

/// What the conditions that do not hold say.
std::string conditions_text(const json& object) {
  const json* list = member(object, "conditions");
  if (list == nullptr || !list->is_array()) return {};
  std::string out;
  for (const json& one : *list) {
    const std::string reason = excerpt(text_of(one, "reason"));
    const std::string message = excerpt(text_of(one, "message"));
    if (text_of(one, "status") != "False" || (reason.empty() && message.empty())) continue;
    const bool both = !reason.empty() && !message.empty();
    out += out.empty() ? "" : "; ";
    out += reason;
    out += both ? ": " : "";
    out += message;
  }
  return excerpt(out);
}

/// Words may carry their enum's name in front: HOT_LOAD_STATE_FAILED, FAILED.
bool ends_in(const std::string& word, std::string_view end) {
  return word == end || word.ends_with("_" + std::string(end));
}

Result<HotLoadSeen> hot_load_of(const json& object) {
  const json* spec = member(object, "spec");
  HotLoadSeen out;
  out.id = text_of(object, "id");
  if (out.id.empty() || spec == nullptr || !spec->is_object()) return malformed("a hot-load without id or spec");
  out.deployment = text_of(*spec, "deploymentId");
  out.identity = Identity(text_of(*spec, "identity"));
  out.full = text_of(*spec, "type") != kIncremental;
  const json* status = member(object, "status");
  const std::string state = status == nullptr ? "" : upper(text_of(*status, "state"));
  const bool cancelled = ends_in(state, "CANCELED") || ends_in(state, "CANCELLED");
  if (ends_in(state, "COMPLETED")) out.progress = Progress::completed;
  if (!cancelled && !ends_in(state, "FAILED")) return out;
  out.progress = Progress::failed;
  out.why = conditions_text(object);
  if (out.why.empty() && status != nullptr) out.why = conditions_text(*status);
  const char* word = cancelled ? "the hot-load was cancelled" : "the hot-load failed";
  out.why = out.why.empty() ? word : fmt::format("{}: {}", word, out.why);
  return out;
}

std::string token_of(const json& object) { return text_of(object, "nextPageToken"); }

struct Code {
  int number = 0;
  const char* word = "";
  ErrorCode means = ErrorCode::internal;
  Refusal refusal = Refusal::none;
};
// google.rpc codes. A refusal that may pass with time is `exhausted`.
constexpr std::array kCodes{Code{1, "CANCELLED", ErrorCode::internal},
                            Code{2, "UNKNOWN", ErrorCode::internal},
                            Code{3, "INVALID_ARGUMENT", ErrorCode::invalid},
                            Code{4, "DEADLINE_EXCEEDED", ErrorCode::timeout},
                            Code{5, "NOT_FOUND", ErrorCode::not_found},
                            Code{6, "ALREADY_EXISTS", ErrorCode::conflict, Refusal::exists},
                            Code{7, "PERMISSION_DENIED", ErrorCode::denied},
                            Code{8, "RESOURCE_EXHAUSTED", ErrorCode::throttled},
                            Code{9, "FAILED_PRECONDITION", ErrorCode::exhausted, Refusal::locked},
                            Code{10, "ABORTED", ErrorCode::exhausted, Refusal::locked},
                            Code{11, "OUT_OF_RANGE", ErrorCode::invalid},
                            Code{12, "UNIMPLEMENTED", ErrorCode::invalid},
                            Code{13, "INTERNAL", ErrorCode::internal},
                            Code{14, "UNAVAILABLE", ErrorCode::internal},
                            Code{15, "DATA_LOSS", ErrorCode::internal},
                            Code{16, "UNAUTHENTICATED", ErrorCode::denied}};

/// The code that a body names; null: none.
const Code* code_of(std::string_view body) {
  const json all = answer::parsed(body);
  const json* inner = member(all, "error");
  const json& said = inner != nullptr && inner->is_object() ? *inner : all;
  const json* code = member(said, "code");
  const auto found = std::find_if(kCodes.begin(), kCodes.end(), [&](const Code& one) {
    if (code != nullptr && code->is_number_integer()) return *code == one.number;
    const std::string word = code != nullptr && code->is_string() ? code->get<std::string>() : text_of(said, "status");
    return upper(word) == one.word || (one.number == 1 && upper(word) == "CANCELED");
  });
  return found == kCodes.end() ? nullptr : &*found;
}

Failure from_status(int status) {
  switch (status) {
    case 401:
    case 403: return {{ErrorCode::denied, "", false}};
    case 404: return {{ErrorCode::not_found, "", false}};
    case 408:
    case 504: return {{ErrorCode::timeout, "", true}};
    case 409:
    case 412: return {{ErrorCode::exhausted, "", true}, Refusal::locked};
    case 425:
    case 429: return {{ErrorCode::throttled, "", true}};
    default: break;
  }
  if (status >= 500 && status != 501) return {{ErrorCode::internal, "", true}};
  return {{ErrorCode::invalid, "", false}};
}

}  // namespace

std::string hot_load_id(const LoadOrder& order) {
  // Two hashes with starts of their own; a zero between the parts, or "a" + "bc" were "ab" + "c".
  const std::string text = order.job.value + '\0' + order.id;
  std::uint64_t high = mixed(hashed(0xcbf29ce484222325, text));
  std::uint64_t low = mixed(hashed(0x9ae16a3b2f90404f, text));
  high = (high & ~0xf000ull) | 0x8000ull;  // version 8: made to a rule of one's own (RFC 9562)
  low = (low & ~(3ull << 62)) | (2ull << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48,
                     low & 0xffffffffffff);
}

Result<std::string> create_body(const LoadOrder& order, const std::string& deployment) {
  if (order.path.size() != 1) return Error{ErrorCode::invalid, "a hot-load carries one snapshot", false};
  if (order.reset_cache == ResetCache::new_session) {
    return Error{ErrorCode::invalid, "reset_prompt_cache: new_session cannot be said to CoreWeave", false};
  }
  const Publication& said = order.path.front().said;
  json body;
  body["deploymentId"] = deployment;
  body["identity"] = said.identity.value;
  body["hotLoadId"] = hot_load_id(order);
  body["type"] = said.kind == SnapshotKind::full ? kFull : kIncremental;
  // Always said: their default is the opposite of everybody else's.
  body["promptCachePolicy"] =
      order.reset_cache == ResetCache::all ? "PROMPT_CACHE_POLICY_RESET_ALL" : "PROMPT_CACHE_POLICY_PRESERVE";
  if (said.kind == SnapshotKind::incremental) {
    body["incrementalSnapshotMetadata"]["previousSnapshotIdentity"] = said.parent.value;
  }
  return json_text(body);
}

Result<HotLoadSeen> hot_load_from(std::string_view body) {
  const json all = answer::parsed(body);
  const json* wrapped = member(all, "hotLoad");
  return hot_load_of(wrapped != nullptr ? *wrapped : all);
}

Result<Page<HotLoadSeen>> hot_loads_from(std::string_view body) {
  const json all = answer::parsed(body);
  if (!all.is_object()) return malformed("no list of hot-loads");
  Page<HotLoadSeen> out;
  out.next = token_of(all);
  // An empty list may be left out, as protobuf's JSON does.
  const json* list = member(all, "hotLoads");
  if (list == nullptr || list->is_null()) return out;
  if (!list->is_array()) return malformed("no list of hot-loads");
  for (const json& one : *list) {
    Result<HotLoadSeen> load = hot_load_of(one);
    if (!load.ok()) return load.error();
    out.items.push_back(std::move(*load));
  }
  return out;
}

Result<Page<Replica>> replicas_from(std::string_view body) {
  const json all = answer::parsed(body);
  if (!all.is_object()) return malformed("no list of replicas");
  Page<Replica> out;
  out.next = token_of(all);
  const json* list = member(all, "replicas");
  if (list == nullptr || list->is_null()) return out;
  if (!list->is_array()) return malformed("no list of replicas");
  for (const json& one : *list) {
    if (!one.is_object()) return malformed("a replica is no object");
    Replica replica;
    replica.name = text_of(one, "zone") + "/" + text_of(one, "name");
    replica.state = upper(text_of(one, "state"));
    // READY is the one word that is documented; NOT_READY would end in it.
    replica.ready = replica.state == "READY" || replica.state.ends_with("STATE_READY");
    if (const std::string current = text_of(one, "currentSnapshotIdentity"); !current.empty()) {
      replica.current = Identity(current);
    }
    out.items.push_back(std::move(replica));
  }
  return out;
}

std::vector<WeightsReport> reports_of(const std::vector<Replica>& replicas, const HotLoadSeen& load,
                                      const std::string& deployment, bool overdue) {
  std::vector<WeightsReport> out;
  answer::UniqueNames names;
  for (const Replica& replica : replicas) {
    WeightsReport report;
    report.replica = ReplicaId(deployment + "/" + names.next(excerpt(replica.name)));
    report.ready = replica.ready;
    report.current = replica.current;
    const bool there = replica.ready && replica.current == load.identity;
    if (!there && load.progress == Progress::running) {
      report.stage = LoadStage::loading;
      report.target = load.identity;
    } else if (!there && (load.progress == Progress::failed || overdue)) {
      report.stage = LoadStage::error;
      report.target = load.identity;
      report.error = load.why;
      if (report.error.empty()) {
        report.error = fmt::format("the hot-load completed, but the replica is {} with {}", excerpt(replica.state),
                                   replica.current ? excerpt(replica.current->value) : "no snapshot");
      }
    }
    out.push_back(std::move(report));
  }
  std::sort(out.begin(), out.end(),
            [](const WeightsReport& a, const WeightsReport& b) { return a.replica < b.replica; });
  return out;
}

Result<DeploymentSeen> deployment_from(std::string_view body) {
  const json all = answer::parsed(body);
  const json* wrapped = member(all, "deployment");
  const json& object = wrapped != nullptr ? *wrapped : all;
  if (!object.is_object()) return malformed("a deployment that is no object");
  DeploymentSeen out;
  const std::string status = upper(text_of(object, "status"));
  const json* disabled = member(object, "disabled");
  const bool off = disabled != nullptr && disabled->is_boolean() && disabled->get<bool>();
  out.ready = ends_in(status, "READY") && !off;
  out.updating = ends_in(status, "UPDATING");
  if (off) {
    out.condition = "disabled";
  } else if (!out.ready) {
    out.condition = excerpt(status.empty() ? "without a status" : status);
    if (const std::string why = conditions_text(object); !why.empty()) out.condition += ": " + why;
  }
  return out;
}

Failure failure_from(int status, std::string_view body) {
  Failure out = from_status(status);
  if (const Code* code = code_of(body)) {
    const bool passes = code->means == ErrorCode::exhausted || code->means == ErrorCode::throttled ||
                        code->means == ErrorCode::internal || code->means == ErrorCode::timeout;
    out.error = {code->means, "", passes};
    out.refusal = code->refusal;
  }
  out.error.what = fmt::format("CoreWeave: HTTP {}: {}", status, answer::error_text(body));
  return out;
}

}  // namespace ebb::coreweave
