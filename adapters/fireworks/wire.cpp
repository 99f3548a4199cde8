#include "adapters/fireworks/wire.hpp"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "adapters/http/json_answer.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::fireworks {

using answer::excerpt;
using answer::member;
using answer::text_of;
using nlohmann::json;

namespace {

// The only formats that the vendor documents; the second is spelt so on the wire.
constexpr const char* kCompression = "arc_v2";
constexpr const char* kChecksum = "alder32";

std::string or_else(const std::string& said, const char* otherwise) { return said.empty() ? otherwise : said; }

bool flag_of(const json& object, const char* name) {
  const json* value = member(object, name);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

/// Of a LoRA backend: the adapter that counts, and what becomes of the one that is wanted.
void take_adapters(const json& listed, const Identity& wanted, Replica& replica) {
  WeightsReport& report = replica.report;
  for (const json& one : listed) {
    const Identity identity(text_of(one, "identity"));
    const std::string status = text_of(one, "status");
    if (identity.empty()) continue;
    if (status == "loaded") {
      replica.adapters.push_back(identity);
      if (report.current != wanted) report.current = identity;
    } else if (report.target.empty() || identity == wanted) {
      report.stage = status == "failed" ? LoadStage::error : LoadStage::loading;
      report.target = identity;
      report.error = status == "failed" ? "the adapter failed to load" : "";
    }
  }
  // What becomes of another one does not matter once the wanted one is there.
  if (!wanted.empty() && report.current == wanted) report.stage = LoadStage::idle;
}

void take_stage(const json& entry, WeightsReport& report) {
  const json* state = member(entry, "loading_state");
  const std::string stage = state == nullptr ? "" : text_of(*state, "stage");
  if (stage.empty() || stage == "idle") return;
  report.target = Identity(text_of(*state, "target_snapshot_identity"));
  if (stage == "error") {
    report.stage = LoadStage::error;
    report.error = "the replica reports an error";
    for (const char* name : {"message", "error", "reason"}) {
      if (const std::string said = excerpt(text_of(*state, name)); !said.empty()) report.error = said;
    }
    return;
  }
  // The list of stages is not public, and whether a load is done is said by readiness and identity alone: an unknown
  // word about nothing else does not undo that.
  const bool done = report.ready && report.current &&
                    (report.target == *report.current || (report.target.empty() && stage != "downloading"));
  report.stage = done ? LoadStage::idle : LoadStage::loading;
}

std::string status_text(const json& all) {
  const json* status = member(all, "status");
  if (status != nullptr) {
    const std::string code = text_of(*status, "code");
    const std::string message = excerpt(text_of(*status, "message"));
    if (!code.empty() && code != "OK") return message.empty() ? excerpt(code) : excerpt(code) + ": " + message;
  }
  const json* latest = member(all, "latestStatus");
  if (latest == nullptr) return {};
  const std::string reason = excerpt(text_of(*latest, "reason"));
  return reason == "OK" ? "" : reason;
}

}  // namespace

Result<std::string> signal_body(const LoadOrder& order, const SignalStyle& style) {
  if (order.path.size() != 1) return Error{ErrorCode::invalid, "a signal carries one snapshot", false};
  const Publication& said = order.path.front().said;
  if (style.adapter && said.kind == SnapshotKind::incremental) {
    return Error{ErrorCode::invalid, "an adapter is always loaded whole", false};
  }
  json body;
  body["identity"] = said.identity.value;
  if (said.kind == SnapshotKind::incremental) {
    json& about = body["incremental_snapshot_metadata"];
    about["previous_snapshot_identity"] = said.parent.value;
    about["compression_format"] = or_else(said.compression_format, kCompression);
    about["checksum_format"] = or_else(said.checksum_format, kChecksum);
  }
  if (style.reset == ResetEncoding::word) {
    body["reset_prompt_cache"] = to_string(order.reset_cache);
  } else if (style.reset == ResetEncoding::boolean && order.reset_cache != ResetCache::new_session) {
    body["reset_prompt_cache"] = order.reset_cache == ResetCache::all;
  } else if (order.reset_cache != ResetCache::all) {
    return Error{ErrorCode::invalid,
                 fmt::format("reset_prompt_cache: {} cannot be said to this backend", to_string(order.reset_cache)),
                 false};
  }
  if (!said.ignored_options.empty()) body["validation"]["extra_fields_ignore"] = said.ignored_options;
  return json_text(body);
}

Result<std::vector<Replica>> replicas_from(std::string_view body, const std::string& deployment,
                                           const Identity& wanted) {
  const json all = answer::parsed(body);
  const json* list = member(all, "replicas");
  if (list == nullptr || !list->is_array()) {
    return Error{ErrorCode::malformed, "Fireworks: the status has no list of replicas", true};
  }
  answer::UniqueNames names;
  std::vector<Replica> out;
  for (const json& entry : *list) {
    if (!entry.is_object()) return Error{ErrorCode::malformed, "Fireworks: a replica is no object", true};
    Replica replica;
    WeightsReport& report = replica.report;
    // Those without a name of their own, or with one that another has too, are told apart by their place.
    const std::string own = excerpt(text_of(entry, "identity"));
    const std::string name = names.next(own);
    report.replica = ReplicaId(deployment + "/" + name);
    if (name == own) report.incarnation = own;
    report.ready = flag_of(entry, "readiness");
    if (const std::string current = text_of(entry, "current_snapshot_identity"); !current.empty()) {
      report.current = Identity(current);
    }
    take_stage(entry, report);
    const json* adapters = member(entry, "loaded_adapters");
    if (adapters != nullptr && adapters->is_array()) take_adapters(*adapters, wanted, replica);
    out.push_back(std::move(replica));
  }
  return out;
}

Condition condition_from(std::string_view body, bool serving, LoadTransitionMode configured) {
  Condition out;
  const json all = answer::parsed(body);
  if (!all.is_object()) return out;
  const std::string state = text_of(all, "state");
  std::string why = status_text(all);
  out.broken = !why.empty() || state == "FAILED";
  const bool ends = state == "FAILED" || state == "DELETING" || state == "DELETED";
  const bool comes = !serving && !state.empty() && state != "READY";
  if (ends || comes || (!why.empty() && !state.empty())) why = excerpt(state) + (why.empty() ? "" : ", " + why);
  const json* most = member(all, "maxReplicaCount");
  if (why.empty() && !serving && most != nullptr && most->is_number_integer() && *most == 0) why = "scaled to zero";
  const std::string said = text_of(all, "hotLoadTransitionType");
  // Absent and UNSPECIFIED are the vendor's default.
  const std::string transition = said == "SYNC" ? "SYNC" : "ASYNC";
  if ((transition == "SYNC") != (configured == LoadTransitionMode::sync)) {
    why += (why.empty() ? "" : "; ") +
           fmt::format("set to {} although transition is {}", transition, to_string(configured));
  }
  out.text = std::move(why);
  return out;
}

bool refuses_reset(int status, std::string_view body) {
  return (status == 400 || status == 422) && answer::error_text(body).find("reset_prompt_cache") != std::string::npos;
}

Error signal_error(int status, std::string_view body) {
  const std::string what = fmt::format("Fireworks: HTTP {}: {}", status, answer::error_text(body));
  switch (status) {
    case 401:
    case 403: return {ErrorCode::denied, what, false};
    case 404: return {ErrorCode::unreachable, what, true};
    case 408: return {ErrorCode::timeout, what, true};
    case 409:
    case 425: return {ErrorCode::exhausted, what, true};
    case 429: return {ErrorCode::throttled, what, true};
    default: break;
  }
  if (status >= 500) return {ErrorCode::internal, what, true};
  return {ErrorCode::invalid, what, false};
}

Error read_error(int status, std::string_view body) {
  Error error = signal_error(status, body);
  if (status == 404) error.code = ErrorCode::not_found;
  if (status == 409 || status == 425) error.code = ErrorCode::unreachable;
  return error;
}

}  // namespace ebb::fireworks
