#include "tests/emulators/engine/weight_routes.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "daemon/model/json_text.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 13> kVllm{"/pause",
                                                 "/resume",
                                                 "/is_paused",
                                                 "/init_weight_transfer_engine",
                                                 "/weight_info",
                                                 "/update_weights",
                                                 "/start_weight_update",
                                                 "/finish_weight_update",
                                                 "/abort_requests",
                                                 "/reset_prefix_cache",
                                                 "/update_weight_version",
                                                 "/v1/load_lora_adapter",
                                                 "/v1/unload_lora_adapter"};
constexpr std::array<std::string_view, 11> kSglang{"/update_weights_from_disk",
                                                   "/pause_generation",
                                                   "/continue_generation",
                                                   "/flush_cache",
                                                   "/model_info",
                                                   "/update_weight_version",
                                                   "/load_lora_adapter",
                                                   "/unload_lora_adapter",
                                                   "/pull_weights",
                                                   "/get_weight_version",
                                                   "/weight_version"};

std::map<std::string, std::string> query_of(std::string_view text) {
  std::map<std::string, std::string> out;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos) out[std::string(part.substr(0, equals))] = part.substr(equals + 1);
  }
  return out;
}

}  // namespace

bool WeightCall::asks(const std::string& key, bool otherwise) const {
  const auto at = query.find(key);
  return at == query.end() ? otherwise : at->second == "true" || at->second == "1" || at->second == "True";
}

bool WeightCall::says(const std::string& key, bool otherwise) const {
  const auto at = body.find(key);
  return at != body.end() && at->is_boolean() ? at->get<bool>() : otherwise;
}

std::string WeightCall::text(const std::string& key) const {
  const auto at = body.find(key);
  return at != body.end() && at->is_string() ? at->get<std::string>() : "";
}

awaitable<void> answer(std::shared_ptr<HttpReply> reply, int status, json body) {
  Headers headers;
  headers["content-type"] = "application/json";
  std::string text = json_text(body);
  co_await reply->send(status, std::move(headers), std::move(text));
}

awaitable<void> answer_text(std::shared_ptr<HttpReply> reply, int status, std::string body) {
  Headers headers;
  headers["content-type"] = "text/plain; charset=utf-8";
  co_await reply->send(status, std::move(headers), std::move(body));
}

bool WeightRoutes::owns(const std::string& path) const {
  if (!control_.config().dev_mode || control_.has(Fault::no_dev_mode)) return false;
  const auto among = [&path](const auto& all) { return std::find(all.begin(), all.end(), path) != all.end(); };
  if (dialect_ == Dialect::sglang) return among(kSglang);
  const bool newer = path == "/start_weight_update" || path == "/finish_weight_update";
  return among(kVllm) && !(newer && control_.config().early);
}

awaitable<void> WeightRoutes::handle(HttpRequestIn request, std::shared_ptr<HttpReply> reply) {
  WeightCall call;
  call.route = request.head.method + " " + request.path;
  call.query = query_of(request.query);
  call.body = request.body.empty() ? json::object() : json::parse(request.body, nullptr, false);
  call.reply = reply;
  control_.calls().push_back(call.route + (request.query.empty() ? "" : "?" + request.query) +
                             (request.body.empty() ? "" : " " + request.body));
  const std::string& key = control_.config().admin_key;
  const auto said = request.head.headers.find("authorization");
  if (!key.empty() && (said == request.head.headers.end() || said->second != "Bearer " + key)) {
    const json denied{{"error", "Unauthorized"}};
    co_await answer(reply, 401, denied);
    co_return;
  }
  if (!call.body.is_object()) {
    const json wrong{{"error", "Invalid JSON format"}};
    co_await answer(reply, 400, wrong);
    co_return;
  }
  if (dialect_ == Dialect::sglang) {
    co_await sglang(std::move(call));
  } else {
    co_await vllm(std::move(call));
  }
}

}  // namespace ebb::emulator
