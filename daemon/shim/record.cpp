#include "daemon/shim/record.hpp"

#include <sys/wait.h>

#include "daemon/shim/files.hpp"

namespace ebb::shim {
namespace {

std::string number(long long value) { return std::to_string(value); }

std::string list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + json_string(text);
  return "[" + out + "]";
}

std::string process(const ProcessId& id) {
  return "{\"pid\": " + number(id.pid) + ", \"start_ticks\": " + std::to_string(id.start_ticks);
}

}  // namespace

std::string record_text(const Options& options, const ProcessId& shim, const std::string& boot,
                        long long started_wall_ms, const std::optional<EngineId>& engine) {
  std::string text = "{\"replica\": " + json_string(options.replica);
  text += ",\n \"deployment\": " + json_string(options.deployment);
  text += ",\n \"slots\": " + list(options.slots);
  text += ",\n \"port\": " + number(options.port);
  text += ",\n \"health_path\": " + json_string(options.health_path);
  text += std::string(",\n \"role\": ") + (options.rl ? "\"rl\"" : "\"production\"");
  text += ",\n \"ttl_ms\": " + number(options.ttl.count());
  text += ",\n \"drain_timeout_ms\": " + number(options.drain_timeout.count());
  text += ",\n \"argv\": " + list(options.argv);
  text += ",\n \"boot_id\": " + json_string(boot);
  text += ",\n \"started_at_ms\": " + number(started_wall_ms);
  text += ",\n \"shim\": " + process(shim) + "}";
  if (engine) text += ",\n \"engine\": " + process(engine->process) + ", \"group\": " + number(engine->group) + "}";
  return text + "}\n";
}

std::string exit_text(const Ending& ending) {
  const bool exited = WIFEXITED(ending.wait_status);
  std::string text = "{\"reason\": " + json_string(ending.reason);
  text += exited ? ", \"code\": " + number(WEXITSTATUS(ending.wait_status))
                 : ", \"signal\": " + number(WTERMSIG(ending.wait_status));
  text += std::string(", \"forced\": ") + (ending.forced ? "true" : "false");
  return text + ", \"at_ms\": " + number(ending.at_wall_ms) + "}\n";
}

std::string leaving_text(const std::string& reason, long long at_wall_ms, long long left_ms) {
  return "{\"reason\": " + json_string(reason) + ", \"at_ms\": " + number(at_wall_ms) +
         ", \"deadline_ms\": " + number(at_wall_ms + left_ms) + "}\n";
}

std::string refusal_text(const std::string& why, long long at_wall_ms) {
  return "{\"why\": " + json_string(why) + ", \"at_ms\": " + number(at_wall_ms) + "}\n";
}

}  // namespace ebb::shim
