#include "adapters/sglang/sglang.hpp"

#include <utility>

#include "adapters/engines/memory.hpp"

namespace ebb {
namespace {

using nlohmann::json;

constexpr Duration kFlushPause{200};  // between two tries to flush

Error problem_of(const EngineAnswer& answer, const std::string& what) {
  Error error = refusal(answer, what);
  if (answer.status == 404) error.what += " (is it an SGLang that has this endpoint?)";
  return error;
}

/// Its answers say in the body whether they are a success; the status alone is not believed.
Status verdict_of(const EngineAnswer& answer, const std::string& what) {
  if (!answer.ok()) return problem_of(answer, what);
  if (answer.flag("success")) return Done();
  const std::string reason = reason_of(answer);
  return Error{ErrorCode::invalid, what + " answers that it failed" + (reason.empty() ? "" : ": " + reason), false};
}

class Sglang final : public EngineDialect {
 public:
  Sglang(SglangOptions options, EngineHttp http) : options_(std::move(options)), http_(std::move(http)) {}

  awaitable<Result<EngineState>> read(std::string url, TimePoint deadline) const override {
    EngineState state;
    if (options_.adapter.empty()) {
      const Result<EngineAnswer> info = co_await http_.get(url_of(std::move(url), "/model_info"), deadline);
      if (!info.ok()) co_return info.error();
      if (!info->ok()) co_return problem_of(*info, "GET /model_info");
      state.version = info->word("weight_version");
    } else {
      Result<std::string> root = co_await adapter_root(std::move(url), deadline);
      if (!root.ok()) co_return root.error();
      state.version = std::move(*root);
    }
    co_return state;
  }

  awaitable<Status> pause(std::string url, LoadTransitionMode, ResetCache reset, TimePoint deadline) const override {
    json body = json::object();
    body["mode"] = reset == ResetCache::all ? "retract" : "in_place";
    const Result<EngineAnswer> answer = co_await post(std::move(url), "/pause_generation", std::move(body), deadline);
    co_return stands(answer, "POST /pause_generation");
  }

  awaitable<Status> resume(std::string url, TimePoint deadline) const override {
    const Result<EngineAnswer> answer = co_await post(std::move(url), "/continue_generation", json::object(), deadline);
    co_return stands(answer, "POST /continue_generation");
  }

  awaitable<Status> pull(std::string url, LoadOrder order, TimePoint deadline) const override {
    const std::optional<int> number = number_of_version(order.target());
    if (!number) {
      co_return Error{
          ErrorCode::invalid,
          "/pull_weights (weights_from: engine) wants snapshots that are named weight_v and six digits, not " +
              order.target().value,
          false};
    }
    json body = json::object();
    body["local_checkpoint_dir"] = options_.checkpoint_dir;
    body["source_dir"] = options_.store;
    body["target_version"] = *number;
    const Result<EngineAnswer> answer = co_await post(std::move(url), "/pull_weights", std::move(body), deadline);
    if (!answer.ok()) co_return answer.error();
    co_return verdict_of(*answer, "POST /pull_weights");
  }

  awaitable<EngineOutcome> update(std::string url, EngineUpdate update) const override {
    if (update.reset == ResetCache::all) {
      const Status flushed = co_await flush(url, update.deadline);
      if (!flushed.ok()) co_return EngineOutcome{flushed, true};
    }
    if (!options_.adapter.empty()) co_return co_await load_adapter(std::move(url), std::move(update));
    json body = json::object();
    body["model_path"] = update.directory;
    body["weight_version"] = update.identity.value;
    body["flush_cache"] = update.reset == ResetCache::all;
    body["abort_all_requests"] = false;
    const Result<EngineAnswer> answer =
        co_await post(std::move(url), "/update_weights_from_disk", std::move(body), update.deadline);
    if (!answer.ok()) co_return EngineOutcome{answer.error(), false};
    EngineOutcome out;
    out.status = verdict_of(*answer, "POST /update_weights_from_disk");
    // What it says about a failure is said after it has gone back to its old weights.
    out.intact = !out.status.ok() && answer->status < 500;
    co_return out;
  }

  awaitable<Status> name(std::string url, std::string version, TimePoint deadline) const override {
    json body = json::object();
    body["new_version"] = std::move(version);
    body["abort_all_requests"] = false;
    const Result<EngineAnswer> answer =
        co_await post(std::move(url), "/update_weight_version", std::move(body), deadline);
    if (!answer.ok()) co_return answer.error();
    co_return verdict_of(*answer, "POST /update_weight_version");
  }

  /// One call loads and names.
  [[nodiscard]] bool finishes_alone() const override { return options_.adapter.empty(); }

 private:
  awaitable<Result<EngineAnswer>> post(std::string url, std::string path, json body, TimePoint deadline) const {
    std::string target = url_of(std::move(url), path);
    co_return co_await http_.post(std::move(target), std::move(body), deadline);
  }

  static Status stands(const Result<EngineAnswer>& answer, const std::string& what) {
    if (!answer.ok()) return answer.error();
    if (!answer->ok()) return problem_of(*answer, what);
    if (answer->word("status") == "ok") return Done();
    return Error{ErrorCode::malformed, what + " does not say that it is done", true};
  }

  awaitable<Status> flush(std::string url, TimePoint deadline) const {
    for (;;) {
      const Result<EngineAnswer> answer = co_await post(url, "/flush_cache", json::object(), deadline);
      if (!answer.ok()) co_return answer.error();
      if (answer->ok()) co_return Done();
      // It says so while anybody still holds blocks.
      const bool again = answer->status == 400 && http_.clock().now() + kFlushPause < deadline;
      if (!again) co_return problem_of(*answer, "POST /flush_cache");
      const TimePoint next = http_.clock().now() + kFlushPause;
      co_await http_.clock().sleep_until(next);
    }
  }

  awaitable<Result<std::string>> adapter_root(std::string url, TimePoint deadline) const {
    const Result<EngineAnswer> models = co_await http_.get(url_of(std::move(url), "/v1/models"), deadline);
    if (!models.ok()) co_return models.error();
    if (!models->ok()) co_return problem_of(*models, "GET /v1/models");
    co_return root_in_models(models->body, options_.adapter);
  }

  awaitable<Status> load(std::string url, std::string directory, TimePoint deadline) const {
    json body = json::object();
    body["lora_name"] = options_.adapter;
    body["lora_path"] = std::move(directory);
    const Result<EngineAnswer> answer = co_await post(std::move(url), "/load_lora_adapter", std::move(body), deadline);
    if (!answer.ok()) co_return answer.error();
    co_return verdict_of(*answer, "POST /load_lora_adapter");
  }

  /// An adapter cannot be replaced, only taken away and loaded again. Should the new one not load, the old one does.
  awaitable<EngineOutcome> load_adapter(std::string url, EngineUpdate update) const {
    const Result<std::string> old = co_await adapter_root(url, update.deadline);
    if (!old.ok()) co_return EngineOutcome{old.error(), true};
    if (!old->empty()) {
      json body = json::object();
      body["lora_name"] = options_.adapter;
      const Result<EngineAnswer> gone = co_await post(url, "/unload_lora_adapter", std::move(body), update.deadline);
      if (!gone.ok()) co_return EngineOutcome{gone.error(), false};
      const Status unloaded = verdict_of(*gone, "POST /unload_lora_adapter");
      if (!unloaded.ok()) co_return EngineOutcome{unloaded, true};
    }
    EngineOutcome out;
    out.status = co_await load(url, update.directory, update.deadline);
    if (out.status.ok() || old->empty()) co_return out;
    const Status restored = co_await load(std::move(url), *old, update.deadline);
    out.intact = restored.ok();
    co_return out;
  }

  SglangOptions options_;
  EngineHttp http_;
};

}  // namespace

std::unique_ptr<const EngineDialect> sglang_dialect(SglangOptions options, EngineHttp http) {
  return std::make_unique<Sglang>(std::move(options), std::move(http));
}

}  // namespace ebb
