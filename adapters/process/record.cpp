#include <nlohmann/json.hpp>

#include "adapters/process/disk.hpp"

namespace ebb::process {
namespace {

using nlohmann::json;

Error malformed(std::string what) { return Error{ErrorCode::malformed, std::move(what), false}; }

/// A field of the wanted type, or an error that names it. nlohmann converts between number types in silence, hence the
/// checks.
std::optional<long long> integer(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<long long>();
}

std::optional<std::string> text(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

TimePoint at_ms(long long ms) { return TimePoint{Duration{ms}}; }

std::optional<shim::ProcessId> process(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_object()) return std::nullopt;
  const auto pid = integer(*found, "pid");
  const auto ticks = integer(*found, "start_ticks");
  // 1 and below would mean init, a group, or everybody.
  if (!pid || !ticks || *pid <= 1 || *pid > (1LL << 30) || *ticks < 0) return std::nullopt;
  return shim::ProcessId{static_cast<pid_t>(*pid), static_cast<unsigned long long>(*ticks)};
}

bool read_slots(const json& object, std::vector<std::string>& out) {
  const auto found = object.find("slots");
  if (found == object.end() || !found->is_array()) return false;
  for (const json& slot : *found) {
    if (!slot.is_string()) return false;
    out.push_back(slot.get<std::string>());
  }
  return true;
}

}  // namespace

Result<Record> record_from(const std::string& content) {
  const json object = json::parse(content, nullptr, false);
  if (!object.is_object()) return malformed("replica.json is not a JSON object");
  Record record;
  const auto replica = text(object, "replica");
  const auto deployment = text(object, "deployment");
  const auto port = integer(object, "port");
  const auto started = integer(object, "started_at_ms");
  const auto shim = process(object, "shim");
  if (!replica || !deployment) return malformed("replica.json lacks 'replica' or 'deployment'");
  if (!port || *port < 0 || *port > 65535) return malformed("replica.json has no valid 'port'");
  if (!started || !shim) return malformed("replica.json lacks 'started_at_ms' or 'shim'");
  if (!read_slots(object, record.slots)) return malformed("replica.json has no valid 'slots'");
  record.replica = ReplicaId(*replica);
  record.deployment = DeploymentId(*deployment);
  record.port = static_cast<int>(*port);
  record.health_path = text(object, "health_path").value_or("");
  record.rl = text(object, "role") == "rl";
  record.drain_timeout = Duration{integer(object, "drain_timeout_ms").value_or(60'000)};
  record.boot_id = text(object, "boot_id").value_or("");
  record.started_at = at_ms(*started);
  record.shim = *shim;
  if (object.contains("engine")) {
    record.engine = process(object, "engine");
    const auto group = integer(object["engine"], "group");
    if (!record.engine || !group || *group <= 1) return malformed("replica.json has no valid 'engine'");
    record.group = static_cast<pid_t>(*group);
  }
  return record;
}

std::optional<Exit> exit_from(const std::string& content) {
  const json object = json::parse(content, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  Exit exit;
  exit.reason = text(object, "reason").value_or("unknown");
  if (const auto code = integer(object, "code")) exit.code = static_cast<int>(*code);
  if (const auto signal = integer(object, "signal")) exit.signal = static_cast<int>(*signal);
  const auto forced = object.find("forced");
  exit.forced = forced != object.end() && forced->is_boolean() && forced->get<bool>();
  exit.at = at_ms(integer(object, "at_ms").value_or(0));
  return exit;
}

std::optional<Leaving> leaving_from(const std::string& content) {
  const json object = json::parse(content, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  Leaving leaving;
  leaving.reason = text(object, "reason").value_or("unknown");
  leaving.at = at_ms(integer(object, "at_ms").value_or(0));
  leaving.deadline = at_ms(integer(object, "deadline_ms").value_or(0));
  return leaving;
}

std::string refusal_from(const std::string& content) {
  const json object = json::parse(content, nullptr, false);
  return object.is_object() ? text(object, "why").value_or("refused") : "refused";
}

}  // namespace ebb::process
