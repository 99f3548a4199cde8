// vLLM's: /pause and its kin, the weight transfer with a directory as its source, run-time LoRA.
#include <utility>

#include "tests/emulators/engine/snapshot_files.hpp"
#include "tests/emulators/engine/weight_routes.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;

json error_of(const std::string& what) { return json{{"error", what}}; }
json message_of(const char* what) { return json{{"message", what}}; }

std::optional<PauseMode> mode_from(const std::string& word) {
  if (word == "abort") return PauseMode::abort;
  if (word == "wait") return PauseMode::wait;
  if (word == "keep") return PauseMode::keep;
  return std::nullopt;
}

/// The directory of either body: the transfer's, or prime-rl's.
std::string directory_in(const json& body) {
  const json& where =
      body.contains("update_info") && body.at("update_info").is_object() ? body.at("update_info") : body;
  for (const char* key : {"path", "weight_dir"}) {
    if (where.contains(key) && where.at(key).is_string()) return where.at(key).get<std::string>();
  }
  return "";
}

}  // namespace

awaitable<void> WeightRoutes::vllm(WeightCall call) {
  const std::string route = call.route;
  json body;
  if (route == "POST /pause") {
    co_await vllm_pause(std::move(call));
  } else if (route == "POST /resume") {
    co_await vllm_resume(std::move(call));
  } else if (route == "GET /is_paused") {
    body["is_paused"] = control_.engine().is_paused();
    co_await answer(call.reply, 200, std::move(body));
  } else if (route == "GET /weight_info") {
    body["weight_version"] = control_.version();
    body["weights_digest"] = control_.weights().digest;
    co_await answer(call.reply, 200, std::move(body));
  } else if (route == "POST /init_weight_transfer_engine") {
    body = message_of("Weight transfer initialized");
    co_await answer(call.reply, 200, std::move(body));
  } else if (route == "POST /start_weight_update") {
    body = message_of("Weight update started");
    co_await answer(call.reply, 200, std::move(body));
  } else if (route == "POST /update_weights") {
    co_await vllm_update(std::move(call));
  } else if (route == "POST /finish_weight_update" || route == "POST /update_weight_version") {
    co_await vllm_name(std::move(call));
  } else if (route == "POST /reset_prefix_cache") {
    co_await vllm_reset(std::move(call));
  } else if (route == "POST /v1/load_lora_adapter") {
    co_await vllm_load_adapter(std::move(call));
  } else if (route == "POST /v1/unload_lora_adapter") {
    co_await vllm_unload_adapter(std::move(call));
  } else if (route == "POST /abort_requests") {
    body["status"] = "aborted";
    body["aborted"] = control_.engine().in_flight();
    control_.engine().abort_all();
    co_await answer(call.reply, 200, std::move(body));
  } else {
    body = error_of("method not allowed");
    co_await answer(call.reply, 405, std::move(body));
  }
}

awaitable<void> WeightRoutes::vllm_pause(WeightCall call) {
  const auto said = call.query.find("mode");
  const auto mode = mode_from(said == call.query.end() ? "abort" : said->second);
  json body;
  if (!mode) {
    body = error_of("Invalid mode. Must be 'abort', 'wait', or 'keep'");
    co_await answer(call.reply, 400, std::move(body));
    co_return;
  }
  if (control_.has(Fault::pause_fails)) {
    body = error_of("Failed to pause generation: as told");
    co_await answer(call.reply, 500, std::move(body));
    co_return;
  }
  co_await control_.engine().pause(*mode);
  const bool clears = call.asks("clear_cache", true);
  if (clears && (*mode != PauseMode::keep || control_.config().keep_clears_cache)) {
    control_.engine().clear_cache(*mode == PauseMode::keep);
  }
  body["status"] = "paused";
  co_await answer(call.reply, 200, std::move(body));
}

awaitable<void> WeightRoutes::vllm_resume(WeightCall call) {
  json body;
  if (control_.has(Fault::resume_fails)) {
    body = error_of("Failed to resume generation: as told");
    co_await answer(call.reply, 500, std::move(body));
    co_return;
  }
  control_.engine().resume();
  body["status"] = "resumed";
  co_await answer(call.reply, 200, std::move(body));
}

awaitable<void> WeightRoutes::vllm_update(WeightCall call) {
  std::string directory = directory_in(call.body);
  const bool whole = call.body.contains("weight_dir");
  json body;
  if (directory.empty()) {
    body = error_of("Missing 'update_info' in request body");
    co_await answer(call.reply, 400, std::move(body));
    co_return;
  }
  const Status done = co_await control_.load(std::move(directory), std::nullopt);
  if (!done.ok()) {
    body = error_of(done.error().what);
  } else if (whole) {
    body["status"] = "ok";
  } else {
    body = message_of("Weights updated");
  }
  co_await answer(call.reply, done.ok() ? 200 : 500, std::move(body));
}

awaitable<void> WeightRoutes::vllm_name(WeightCall call) {
  const bool finish = call.route == "POST /finish_weight_update";
  const std::string version = call.text(finish ? "weight_version" : "new_version");
  json body;
  if (!finish && version.empty()) {
    body = error_of("Missing 'new_version' in request body");
    co_await answer(call.reply, 400, std::move(body));
    co_return;
  }
  if (!version.empty()) control_.name(version);
  if (finish) {
    body = message_of("Weight update finished");
  } else {
    body["success"] = true;
    body["new_version"] = version;
  }
  co_await answer(call.reply, 200, std::move(body));
}

awaitable<void> WeightRoutes::vllm_reset(WeightCall call) {
  // It says nothing of whether it did anything, as the engine does not.
  control_.engine().clear_cache(call.asks("reset_running_requests", false));
  co_await answer_text(call.reply, 200, "");
}

awaitable<void> WeightRoutes::vllm_load_adapter(WeightCall call) {
  std::string name = call.text("lora_name");
  std::string path = call.text("lora_path");
  const bool known = control_.adapters().contains(name);
  json body;
  if (name.empty() || path.empty()) {
    body = error_of("Both 'lora_name' and 'lora_path' must be provided.");
    co_await answer(call.reply, 400, std::move(body));
    co_return;
  }
  if (known && !call.says("load_inplace", false)) {
    body = error_of("The lora adapter '" + name + "' has already been loaded.");
    co_await answer(call.reply, 400, std::move(body));
    co_return;
  }
  const Status done = co_await control_.load_adapter(name, std::move(path));
  if (done.ok()) {
    co_await answer_text(call.reply, 200, "Success: LoRA adapter '" + name + "' added successfully.");
    co_return;
  }
  body = error_of(done.error().what);
  co_await answer(call.reply, 404, std::move(body));
}

awaitable<void> WeightRoutes::vllm_unload_adapter(WeightCall call) {
  const Status done = control_.unload_adapter(call.text("lora_name"));
  if (done.ok()) {
    co_await answer_text(call.reply, 200, "Success: LoRA adapter removed successfully.");
    co_return;
  }
  json body = error_of(done.error().what);
  co_await answer(call.reply, 404, std::move(body));
}

}  // namespace ebb::emulator
