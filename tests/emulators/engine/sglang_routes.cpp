// SGLang's: loads from disk, the three ways to pause, the flush that refuses, /pull_weights of slime's patch.
#include <utility>

#include "tests/emulators/engine/delta_pull.hpp"
#include "tests/emulators/engine/snapshot_files.hpp"
#include "tests/emulators/engine/weight_routes.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;

json outcome(const Status& done, const std::string& message) {
  return json{{"success", done.ok()}, {"message", done.ok() ? message : done.error().what}};
}

std::optional<PauseMode> mode_from(const std::string& word) {
  if (word.empty() || word == "abort") return PauseMode::abort;
  if (word == "retract") return PauseMode::retract;
  if (word == "in_place") return PauseMode::keep;
  return std::nullopt;
}

}  // namespace

awaitable<void> WeightRoutes::sglang(WeightCall call) {
  const std::string route = call.route;
  if (route == "POST /update_weights_from_disk") {
    co_await sglang_update(std::move(call));
  } else if (route == "POST /pause_generation") {
    co_await sglang_pause(std::move(call));
  } else if (route == "POST /continue_generation") {
    co_await sglang_continue(std::move(call));
  } else if (route == "POST /flush_cache" || route == "GET /flush_cache") {
    co_await sglang_flush(std::move(call));
  } else if (route == "GET /model_info") {
    co_await sglang_info(std::move(call));
  } else if (route == "POST /update_weight_version") {
    co_await sglang_name(std::move(call));
  } else if (route == "POST /load_lora_adapter" || route == "POST /unload_lora_adapter") {
    co_await sglang_adapter(std::move(call));
  } else if (route == "POST /pull_weights") {
    co_await sglang_pull(std::move(call));
  } else if (route == "GET /get_weight_version" || route == "GET /weight_version") {
    co_await answer_text(call.reply, 404, "This endpoint was removed; use /model_info instead.");
  } else {
    json body{{"detail", "Method Not Allowed"}};
    co_await answer(call.reply, 405, std::move(body));
  }
}

bool WeightRoutes::flush() {
  Engine& engine = control_.engine();
  if (!retracted_ && !engine.idle()) return false;
  if (retracted_ && control_.config().retract_cannot_flush && !engine.idle()) return false;
  return engine.clear_cache(false);
}

awaitable<void> WeightRoutes::sglang_update(WeightCall call) {
  const std::string path = call.text("model_path");
  const std::string version = call.text("weight_version");
  json body;
  if (path.empty()) {
    body["detail"] = "model_path: Field required";
    co_await answer(call.reply, 422, std::move(body));
    co_return;
  }
  if (call.says("abort_all_requests", false)) control_.engine().abort_all();
  std::optional<std::string> named;
  if (!version.empty()) named = version;
  Status done = Done();
  if (call.says("flush_cache", true) && !flush()) {
    done = Error{ErrorCode::conflict, "Cache flush failed after updating weights", false};
  } else {
    done = co_await control_.load(path, std::move(named));
  }
  body = outcome(done, "Succeeded to update model weights.");
  body["num_paused_requests"] = control_.engine().in_flight();
  co_await answer(call.reply, done.ok() ? 200 : 400, std::move(body));
}

awaitable<void> WeightRoutes::sglang_pause(WeightCall call) {
  const auto mode = mode_from(call.text("mode"));
  json body;
  if (!mode || control_.has(Fault::pause_fails)) {
    body["detail"] = mode ? "as told" : "mode: Input should be 'abort', 'retract' or 'in_place'";
    co_await answer(call.reply, mode ? 500 : 422, std::move(body));
    co_return;
  }
  retracted_ = *mode == PauseMode::retract;
  co_await control_.engine().pause(*mode);
  body["message"] = "Generation paused successfully.";
  body["status"] = "ok";
  co_await answer(call.reply, 200, std::move(body));
}

awaitable<void> WeightRoutes::sglang_continue(WeightCall call) {
  json body;
  if (control_.has(Fault::resume_fails)) {
    body["detail"] = "as told";
    co_await answer(call.reply, 500, std::move(body));
    co_return;
  }
  retracted_ = false;
  control_.engine().resume();
  body["message"] = "Generation continued successfully.";
  body["status"] = "ok";
  co_await answer(call.reply, 200, std::move(body));
}

awaitable<void> WeightRoutes::sglang_flush(WeightCall call) {
  if (flush()) {
    co_await answer_text(call.reply, 200,
                         "Cache flushed.\nPlease check backend logs for more details. (When there are running or "
                         "waiting requests, the operation will not be performed.)\n");
  } else {
    co_await answer_text(call.reply, 400,
                         "Flush cache failed. There are running or waiting requests; the operation was not "
                         "performed.\n");
  }
}

awaitable<void> WeightRoutes::sglang_name(WeightCall call) {
  const std::string version = call.text("new_version");
  json body;
  if (version.empty()) {
    body["detail"] = "new_version: Field required";
    co_await answer(call.reply, 422, std::move(body));
    co_return;
  }
  // What this default does to running requests is why nobody should rely on it.
  if (call.says("abort_all_requests", true)) control_.engine().abort_all();
  control_.name(version);
  body["success"] = true;
  body["message"] = "Weight version updated to " + version;
  body["new_version"] = version;
  co_await answer(call.reply, 200, std::move(body));
}

awaitable<void> WeightRoutes::sglang_info(WeightCall call) {
  json body{{"model_path", control_.model_path()},
            {"is_generation", true},
            {"weight_version", control_.version()},
            {"weights_digest", control_.weights().digest}};
  co_await answer(call.reply, 200, std::move(body));
}

awaitable<void> WeightRoutes::sglang_adapter(WeightCall call) {
  const std::string name = call.text("lora_name");
  const bool load = call.route == "POST /load_lora_adapter";
  Status done = Done();
  if (!load) {
    done = control_.unload_adapter(name);
  } else if (control_.adapters().contains(name)) {
    done = Error{ErrorCode::conflict, "LoRA adapter '" + name + "' is loaded already.", false};
  } else {
    done = co_await control_.load_adapter(name, call.text("lora_path"));
  }
  json body = outcome(done, load ? "loaded" : "unloaded");
  co_await answer(call.reply, done.ok() ? 200 : 400, std::move(body));
}

awaitable<void> WeightRoutes::sglang_pull(WeightCall call) {
  const std::string local = call.text("local_checkpoint_dir");
  const std::string source = call.text("source_dir");
  const auto target = call.body.find("target_version");
  const bool sound = !local.empty() && !source.empty() && target != call.body.end() && target->is_number_integer();
  Status done = Error{ErrorCode::invalid, "local_checkpoint_dir, source_dir and target_version are needed", false};
  if (sound) done = pull_weights(local, source, target->get<int>());
  json body = outcome(done, "pulled");
  co_await answer(call.reply, done.ok() ? 200 : 400, std::move(body));
}

}  // namespace ebb::emulator
