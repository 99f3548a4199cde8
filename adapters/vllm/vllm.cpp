#include "adapters/vllm/vllm.hpp"

#include <utility>

namespace ebb {
namespace {

using nlohmann::json;

constexpr const char* kDevMode = "is it a vLLM started with VLLM_SERVER_DEV_MODE=1?";
constexpr const char* kLora = "is it a vLLM started with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True?";

/// An answer that was no success, with what a 404 means here.
Error problem_of(const EngineAnswer& answer, const std::string& what, const char* hint) {
  Error error = refusal(answer, what);
  if (answer.status == 404) error.what += std::string(" (") + hint + ")";
  return error;
}

class Vllm final : public EngineDialect {
 public:
  Vllm(VllmOptions options, EngineHttp http) : options_(std::move(options)), http_(std::move(http)) {}

  awaitable<Result<EngineState>> read(std::string url, TimePoint deadline) const override {
    EngineState state;
    if (options_.adapter.empty()) {
      Result<EngineAnswer> info = co_await http_.get(url_of(url, "/weight_info"), deadline);
      if (!info.ok()) co_return info.error();
      if (!info->ok()) co_return problem_of(*info, "GET /weight_info", kDevMode);
      state.version = info->word("weight_version");
    } else {
      Result<std::string> root = co_await adapter_root(url, deadline);
      if (!root.ok()) co_return root.error();
      state.version = std::move(*root);
    }
    const Result<EngineAnswer> paused = co_await http_.get(url_of(url, "/is_paused"), deadline);
    if (paused.ok() && paused->ok()) state.paused = paused->flag("is_paused");
    co_return state;
  }

  awaitable<Status> pause(std::string url, LoadTransitionMode transition, ResetCache reset,
                          TimePoint deadline) const override {
    const bool drains = transition == LoadTransitionMode::sync;
    std::string query = drains ? "/pause?mode=wait" : "/pause?mode=keep";
    // Said in every case: the default is true, and what it means for `keep` is not the same everywhere.
    query += drains && reset == ResetCache::all ? "&clear_cache=true" : "&clear_cache=false";
    const Status done = co_await expect(url, std::move(query), "paused", deadline);
    if (!done.ok()) co_return done;
    const Result<EngineAnswer> check = co_await http_.get(url_of(url, "/is_paused"), deadline);
    const bool runs = check.ok() && check->ok() && !check->flag("is_paused");
    if (runs) co_return Error{ErrorCode::internal, "POST /pause answers success, and it runs on", true};
    co_return Done();
  }

  awaitable<Status> resume(std::string url, TimePoint deadline) const override {
    std::string path = "/resume";
    co_return co_await expect(std::move(url), std::move(path), "resumed", deadline);
  }

  awaitable<Status> pull(std::string, LoadOrder, TimePoint) const override {
    co_return Error{ErrorCode::invalid, "vLLM has no /pull_weights", false};
  }

  awaitable<EngineOutcome> update(std::string url, EngineUpdate update) const override {
    if (!options_.adapter.empty()) co_return co_await load_adapter(std::move(url), std::move(update));
    const bool transfers = options_.update == VllmUpdate::transfer;
    if (transfers) co_await initialise(url, update.deadline);
    const Result<EngineAnswer> start = co_await post(url, "/start_weight_update", json::object(), update.deadline);
    if (!start.ok()) co_return EngineOutcome{start.error(), true};
    const bool early = start->status == 404;
    if (!start->ok() && !early) co_return failed(*start, "POST /start_weight_update");
    json body = json::object();
    if (transfers) {
      body["update_info"]["path"] = update.directory;
    } else {
      body["weight_dir"] = update.directory;
    }
    const Result<EngineAnswer> done = co_await post(url, "/update_weights", std::move(body), update.deadline);
    if (!done.ok()) co_return EngineOutcome{done.error(), false};
    if (!done->ok()) co_return failed(*done, "POST /update_weights");
    // Before the version is given: after a crash in between nobody takes this for a load that is complete.
    const Status reset = co_await reset_cache(url, update);
    if (!reset.ok()) co_return EngineOutcome{reset, false};
    EngineOutcome out;
    if (early) {
      out.status = co_await name(std::move(url), update.identity.value, update.deadline);
    } else {
      out.status = co_await finish(std::move(url), std::move(update));
    }
    co_return out;
  }

  awaitable<Status> name(std::string url, std::string version, TimePoint deadline) const override {
    json body = json::object();
    body["new_version"] = std::move(version);
    const Result<EngineAnswer> answer =
        co_await post(std::move(url), "/update_weight_version", std::move(body), deadline);
    if (!answer.ok()) co_return answer.error();
    if (!answer->ok()) co_return problem_of(*answer, "POST /update_weight_version", kDevMode);
    if (!answer->flag("success")) co_return Error{ErrorCode::internal, "POST /update_weight_version fails", true};
    co_return Done();
  }

  /// The version is given by a call of its own, which nobody would make.
  [[nodiscard]] bool finishes_alone() const override { return false; }

 private:
  awaitable<Result<EngineAnswer>> post(std::string url, std::string path, json body, TimePoint deadline) const {
    std::string target = url_of(std::move(url), path);
    co_return co_await http_.post(std::move(target), std::move(body), deadline);
  }

  /// A POST without a body whose answer has this status in it.
  awaitable<Status> expect(std::string url, std::string path, std::string word, TimePoint deadline) const {
    const std::string what = "POST " + path.substr(0, path.find('?'));
    const Result<EngineAnswer> answer = co_await post(std::move(url), path, json::object(), deadline);
    if (!answer.ok()) co_return answer.error();
    if (!answer->ok()) co_return problem_of(*answer, what, kDevMode);
    if (answer->word("status") == word) co_return Done();
    co_return Error{ErrorCode::malformed, what + " does not say that it is " + word, true};
  }

  /// Once is enough, and how often it was is not known after a restart; engines that want none refuse it.
  awaitable<void> initialise(std::string url, TimePoint deadline) const {
    json body = json::object();
    body["init_info"] = json::object();
    (void)co_await post(std::move(url), "/init_weight_transfer_engine", std::move(body), deadline);
  }

  awaitable<Status> reset_cache(std::string url, const EngineUpdate& update) const {
    if (update.transition == LoadTransitionMode::sync || update.reset != ResetCache::all) co_return Done();
    const Result<EngineAnswer> answer = co_await post(std::move(url), "/reset_prefix_cache?reset_running_requests=true",
                                                      json::object(), update.deadline);
    if (!answer.ok()) co_return answer.error();
    if (!answer->ok()) co_return problem_of(*answer, "POST /reset_prefix_cache", kDevMode);
    co_return Done();
  }

  awaitable<Status> finish(std::string url, EngineUpdate update) const {
    json body = json::object();
    body["weight_version"] = update.identity.value;
    const Result<EngineAnswer> answer =
        co_await post(std::move(url), "/finish_weight_update", std::move(body), update.deadline);
    if (!answer.ok()) co_return answer.error();
    if (!answer->ok()) co_return problem_of(*answer, "POST /finish_weight_update", kDevMode);
    co_return Done();
  }

  /// The path that the adapter was loaded from; empty: it is not loaded.
  awaitable<Result<std::string>> adapter_root(std::string url, TimePoint deadline) const {
    const Result<EngineAnswer> models = co_await http_.get(url_of(std::move(url), "/v1/models"), deadline);
    if (!models.ok()) co_return models.error();
    if (!models->ok()) co_return problem_of(*models, "GET /v1/models", kLora);
    co_return root_in_models(models->body, options_.adapter);
  }

  awaitable<EngineOutcome> load_adapter(std::string url, EngineUpdate update) const {
    const Result<std::string> root = co_await adapter_root(url, update.deadline);
    if (!root.ok()) co_return EngineOutcome{root.error(), true};
    json body = json::object();
    body["lora_name"] = options_.adapter;
    body["lora_path"] = update.directory;
    if (!root->empty()) body["load_inplace"] = true;
    const Result<EngineAnswer> done = co_await post(url, "/v1/load_lora_adapter", std::move(body), update.deadline);
    if (!done.ok()) co_return EngineOutcome{done.error(), false};
    if (!done->ok()) co_return EngineOutcome{problem_of(*done, "POST /v1/load_lora_adapter", kLora), true};
    EngineOutcome out;
    out.status = co_await reset_cache(std::move(url), update);
    co_return out;
  }

  /// Only what the engine did not even begin has left its weights alone: a transfer is not transactional.
  static EngineOutcome failed(const EngineAnswer& answer, const std::string& what) {
    return EngineOutcome{problem_of(answer, what, kDevMode), answer.status < 500};
  }

  VllmOptions options_;
  EngineHttp http_;
};

}  // namespace

std::unique_ptr<const EngineDialect> vllm_dialect(VllmOptions options, EngineHttp http) {
  return std::make_unique<Vllm>(std::move(options), std::move(http));
}

}  // namespace ebb
