#include "tests/emulators/fireworks/site.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

namespace ebb::emulator::fireworks {

using nlohmann::json;

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// As Python prints it, since the texts come from there.
std::string python_text(const json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_string()) return "'" + value.get<std::string>() + "'";
  return value.is_null() ? "None" : value.dump();
}

std::string extra(const std::string& field, const json& value) {
  return fmt::format("Extra inputs are not permitted, field: '{}', value: {}", field, python_text(value));
}

std::string stray_key(const json& object, const std::set<std::string>& known) {
  for (const auto& [name, value] : object.items()) {
    if (!known.contains(name)) return extra(name, value);
  }
  return {};
}

std::string problem_of_metadata(const json& about) {
  if (!about.is_object()) return "Input should be a valid dictionary, field: 'incremental_snapshot_metadata'";
  if (std::string stray = stray_key(about, {"previous_snapshot_identity", "compression_format", "checksum_format"});
      !stray.empty()) {
    return stray;
  }
  for (const char* name : {"previous_snapshot_identity", "compression_format"}) {
    if (!about.contains(name) || !about[name].is_string() || about[name].get<std::string>().empty()) {
      return fmt::format("Field required, field: 'incremental_snapshot_metadata.{}'", name);
    }
  }
  const json checksum = about.value("checksum_format", json("alder32"));
  if (checksum != "alder32" && checksum != "adler32") return "unknown checksum_format";
  return about["compression_format"] == "arc_v2" ? "" : "unknown compression_format";
}

}  // namespace

json default_knobs() {
  return {
      {"download_s", 0.5},           // from a signal to the swap
      {"swap_s", 0.1},               // old weights out, new weights in
      {"manager_s", 2.0},            // from a replica's start until its hot-load manager answers
      {"catch_up_s", 1.0},           // from there until a replica added later has the newest snapshot
      {"newcomers_catch_up", true},  // false: never
      {"crash_loop_s", 20.0},        // until the platform has brought a crashed deployment back, with base weights
      {"ready_while_downloading", true},
      {"ready_while_swapping", false},
      {"ready_after_error", true},
      {"idle_stage", "idle"},
      {"swap_stage", "downloading"},
      {"reset", "any"},                // any, word, bool; none: the field is unknown
      {"early_signal_crashes", true},  // one that comes before the manager is up
      {"wrong_parent", "reject"},      // reject; accept: the load fails
      {"reject_status", 400},          // of a snapshot that does not fit
      {"pod_names", "own"},            // own, null, same
      {"stale_error", ""},             // idle replicas report an error about this identity
      {"wrong_identity", ""},          // what loads end with; empty: with their own
      {"never_ends", 0},               // so many loads to come never end
      {"bad", json::array()},          // identities that fail to load
      {"crash_on", json::array()},     // identities that crash their replicas once loaded
      {"empty_list", false},
      {"lora", false},         // status with loaded_adapters
      {"creating", false},     // the state stays CREATING although it serves
      {"sync_new", "425"},     // new requests in a SYNC swap: 425 or queue
      {"latency_s", 0.0},      // of every answer
      {"success_body", "{}"},  // of a signal that is taken
      // What becomes of the next requests, one word each: see common/vendor.hpp.
      {"signal_faults", json::array()},
      {"status_faults", json::array()},
      {"ledger_faults", json::array()},
      {"deployment_faults", json::array()},
  };
}

Said refusal(int status, const std::string& message) {
  json body;
  body["error"]["message"] = message;
  body["error"]["code"] = status;
  return {status, body};
}

Site::Site(std::string account, std::string id, json body, Knobs& knobs, const std::string& bucket)
    : account_(std::move(account)), id_(std::move(id)), fields_(std::move(body)), knobs_(knobs), bucket_(bucket) {}

// ---------------------------------------------------------------- what happens by itself

void Site::advance(double now) {
  for (Replica& replica : replicas_) {
    if (replica.load && replica.load->done_at <= now) finish(replica);
    const bool caught_up = replica.catch_up_at >= 0 && now >= replica.catch_up_at && !replica.load;
    if (caught_up && knobs_.flag("newcomers_catch_up")) {
      replica.current = head_;
      replica.catch_up_at = -1;
    }
  }
  const bool crashed = std::any_of(replicas_.begin(), replicas_.end(), [&](const Replica& replica) {
    return !replica.load && knobs_.lists("crash_on", replica.current);
  });
  if (!crashed) return;
  ++crashes_;
  roll(now);
  sick_until_ = now + knobs_.number("crash_loop_s");
  for (Replica& replica : replicas_) replica.manager_at = sick_until_;
}

void Site::finish(Replica& replica) {
  const Load load = *replica.load;
  replica.load.reset();
  const auto row = std::find_if(ledger_.rbegin(), ledger_.rend(),
                                [&](const LedgerRow& one) { return one.identity == load.identity; });
  if (!load.error.empty()) {
    replica.failed = load.identity;
    replica.error = load.error;
    if (row != ledger_.rend()) row->error = load.error;
    return;
  }
  replica.failed.clear();
  replica.catch_up_at = -1;
  if (knobs_.flag("lora")) {
    replica.adapters.push_back(load.shows);
  } else {
    replica.current = load.shows;
    head_ = load.shows;
  }
  if (row != ledger_.rend()) row->ready_at[replica.pod] = load.done_at;
}

Replica Site::newcomer(double now) {
  Replica out;
  out.pod = fmt::format("{}-pod-{}", id_, ++pods_);
  out.manager_at = now + knobs_.number("manager_s");
  return out;
}

void Site::resize(double now) {
  const int least = fields_.value("minReplicaCount", 0);
  const int most = deleted_ ? 0 : fields_.value("maxReplicaCount", std::max(least, 1));
  const auto wanted = static_cast<std::size_t>(std::clamp(desired_, std::min(least, most), most));
  if (replicas_.size() > wanted) replicas_.resize(wanted);
  while (replicas_.size() < wanted) {
    Replica added = newcomer(now);
    if (!head_.empty()) added.catch_up_at = added.manager_at + knobs_.number("catch_up_s");
    replicas_.push_back(std::move(added));
  }
}

/// New pods in place of all: they begin with the base weights, and nobody brings them further.
void Site::roll(double now) {
  for (Replica& replica : replicas_) replica = newcomer(now);
  head_.clear();
  needs_full_ = true;
}

// ---------------------------------------------------------------- status

json Site::stage(const Replica& replica, double now, bool& ready) const {
  json out;
  out["stage"] = knobs_.text("idle_stage");
  if (replica.load) {
    const bool swaps = now >= replica.load->swap_at;
    ready = knobs_.flag(swaps ? "ready_while_swapping" : "ready_while_downloading");
    out["stage"] = swaps ? knobs_.text("swap_stage") : "downloading";
    out["target_snapshot_identity"] = replica.load->identity;
  } else if (!replica.failed.empty()) {
    ready = knobs_.flag("ready_after_error");
    out["stage"] = "error";
    out["target_snapshot_identity"] = replica.failed;
    out["message"] = replica.error;
  } else if (replica.catch_up_at >= 0 && knobs_.flag("newcomers_catch_up")) {
    out["stage"] = "downloading";
    out["target_snapshot_identity"] = head_;
  } else if (const std::string stale = knobs_.text("stale_error"); !stale.empty()) {
    out["stage"] = "error";
    out["target_snapshot_identity"] = stale;
  }
  return out;
}

json Site::entry(const Replica& replica, double now) const {
  json out;
  bool ready = true;
  out["loading_state"] = stage(replica, now, ready);
  out["readiness"] = ready;
  const std::string names = knobs_.text("pod_names");
  out["identity"] = names == "null" ? json() : json(names == "same" ? id_ : replica.pod);
  out["current_snapshot_identity"] = replica.current.empty() ? json() : json(replica.current);
  if (!knobs_.flag("lora")) return out;
  out["loaded_adapters"] = json::array();
  const auto add = [&](const std::string& identity, const char* status) {
    json one;
    one["identity"] = identity;
    one["status"] = status;
    out["loaded_adapters"].push_back(std::move(one));
  };
  for (const std::string& adapter : replica.adapters) add(adapter, "loaded");
  if (replica.load) add(replica.load->identity, "loading");
  if (!replica.failed.empty()) add(replica.failed, "failed");
  out["loading_state"] = {{"stage", "idle"}};
  return out;
}

json Site::status_page(double now) const {
  json list = json::array();
  for (const Replica& replica : replicas_) {
    if (replica.manager_at <= now && !knobs_.flag("empty_list")) list.push_back(entry(replica, now));
  }
  json page;
  page["replicas"] = std::move(list);
  return page;
}

std::optional<std::string> Site::serving(double now) {
  const Replica& replica = replicas_[turn_++ % replicas_.size()];
  if (replica.load && now >= replica.load->swap_at && replica.load->done_at != kNever) return std::nullopt;
  return replica.current.empty() ? "base" : replica.current;
}

// ---------------------------------------------------------------- signals

std::string Site::problem_of_reset(const json& value) const {
  const std::string knob = knobs_.text("reset");
  if (knob == "none") return extra("reset_prompt_cache", value);
  const bool word = value == "all" || value == "new_session" || value == "none";
  if (value.is_boolean() && knob != "word") return {};
  if (word && knob != "bool") return {};
  return fmt::format("Input should be a valid {}, field: 'reset_prompt_cache', value: {}",
                     knob == "bool" ? "boolean" : "enumeration member", python_text(value));
}

std::string Site::problem_of_body(const json& body) const {
  if (!body.is_object()) return "Input should be a valid dictionary";
  if (std::string stray =
          stray_key(body, {"identity", "incremental_snapshot_metadata", "reset_prompt_cache", "validation"});
      !stray.empty()) {
    return stray;
  }
  const json identity = body.value("identity", json());
  if (!identity.is_string() || identity.get<std::string>().empty()) return "Field required, field: 'identity'";
  if (identity.get<std::string>().find('/') != std::string::npos) return "identity must be one path segment";
  if (body.contains("reset_prompt_cache")) {
    if (std::string why = problem_of_reset(body["reset_prompt_cache"]); !why.empty()) return why;
  }
  if (body.contains("validation")) {
    const json& validation = body["validation"];
    if (!validation.is_object()) return "Input should be a valid dictionary, field: 'validation'";
    if (std::string stray = stray_key(validation, {"extra_fields_ignore"}); !stray.empty()) return stray;
  }
  return body.contains("incremental_snapshot_metadata") ? problem_of_metadata(body["incremental_snapshot_metadata"])
                                                        : "";
}

std::string Site::problem_of_parent(const std::string& parent) const {
  if (parent.empty()) return {};
  if (needs_full_) return "the ledger is empty: a full snapshot must come first";
  for (const Replica& replica : replicas_) {
    if (replica.current != parent) {
      return fmt::format("previous_snapshot_identity '{}' is not the snapshot that is loaded ('{}')", parent,
                         replica.current);
    }
  }
  return {};
}

std::string Site::missing_in_bucket(const std::string& identity) const {
  namespace fs = std::filesystem;
  if (bucket_.empty()) return {};
  const fs::path folder = fs::path(bucket_) / identity;
  std::error_code ignored;
  const auto lacks = [&](const std::string& name) { return !fs::is_regular_file(folder / name, ignored); };
  if (!lacks("adapter_config.json")) return lacks("adapter_model.safetensors") ? "missing adapter_model" : "";
  for (const char* name : {"config.json", "model.safetensors.index.json"}) {
    if (lacks(name)) return fmt::format("missing file {}", name);
  }
  std::ifstream file(folder / "model.safetensors.index.json");
  const json index = json::parse(file, nullptr, false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) return "no weight_map";
  for (const auto& [tensor, shard] : index["weight_map"].items()) {
    if (!shard.is_string() || lacks(shard.get<std::string>())) return fmt::format("missing shard {}", shard.dump());
  }
  return {};
}

void Site::note_faults(const std::string& identity, double now) {
  for (const json& earlier : taken_) {
    if (earlier["identity"] == identity) faults_.push_back("signalled twice: " + identity);
  }
  for (const Replica& replica : replicas_) {
    if (replica.load) faults_.push_back("signalled while loading " + replica.load->identity + ": " + identity);
    if (replica.manager_at > now) faults_.push_back("signalled before the manager was up: " + identity);
  }
}

Said Site::signal(const std::string& text, double now) {
  const json body = json::parse(text, nullptr, false);
  if (const std::string why = problem_of_body(body); !why.empty()) return refusal(400, why);
  const std::string identity = body["identity"];
  const bool incremental = body.contains("incremental_snapshot_metadata");
  const std::string parent =
      incremental ? body["incremental_snapshot_metadata"]["previous_snapshot_identity"].get<std::string>() : "";
  if (replicas_.empty()) return refusal(503, "the deployment has no replicas");
  const bool early =
      std::any_of(replicas_.begin(), replicas_.end(), [&](const Replica& r) { return r.manager_at > now; });
  const bool all_early =
      early && std::all_of(replicas_.begin(), replicas_.end(), [&](const Replica& r) { return r.manager_at > now; });
  if ((all_early && knobs_.flag("early_signal_crashes")) || (incremental && knobs_.flag("lora"))) {
    note_faults(identity, now);
    ++crashes_;
    roll(now);
    return refusal(502, "upstream connect error");
  }
  const std::string why = problem_of_parent(parent);
  if (!why.empty() && knobs_.text("wrong_parent") == "reject") return refusal(knobs_.count("reject_status"), why);
  note_faults(identity, now);
  taken_.push_back(body);
  begin(identity, parent, now);
  return {200, knobs_.text("success_body")};
}

void Site::begin(const std::string& identity, const std::string& parent, double now) {
  LedgerRow row;
  row.identity = identity;
  row.parent = parent;
  row.at = now;
  ledger_.push_back(std::move(row));
  Load load;
  load.identity = identity;
  load.shows = knobs_.text("wrong_identity").empty() ? identity : knobs_.text("wrong_identity");
  load.began = now;
  load.swap_at = now + knobs_.number("download_s");
  load.done_at = knobs_.use_one("never_ends") ? kNever : load.swap_at + knobs_.number("swap_s");
  load.error = knobs_.lists("bad", identity) ? "Types mismatch" : missing_in_bucket(identity);
  if (load.error.empty()) load.error = problem_of_parent(parent);
  if (parent.empty()) needs_full_ = false;
  for (Replica& replica : replicas_) {
    if (replica.manager_at > now) continue;  // it comes up later, and is a newcomer then
    replica.load = load;
    replica.failed.clear();
  }
}

// ---------------------------------------------------------------- ledger

json Site::ledger_page() const {
  json rows = json::array();
  for (auto at = ledger_.rbegin(); at != ledger_.rend(); ++at) {
    json row;
    row["identity"] = at->identity;
    row["type"] = at->parent.empty() ? "FULL" : "INCREMENTAL";
    row["signalled_at"] = at->at;
    row["ready_at"] = at->ready_at;
    if (!at->parent.empty()) row["previous_snapshot_identity"] = at->parent;
    if (!at->error.empty()) row["error"] = at->error;
    rows.push_back(std::move(row));
  }
  json page;
  page["entries"] = std::move(rows);
  return page;
}

void Site::reset_ledger() {
  ledger_.clear();
  needs_full_ = true;
}

}  // namespace ebb::emulator::fireworks
