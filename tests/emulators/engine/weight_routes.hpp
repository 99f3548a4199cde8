// The weight endpoints of the two dialects, as the engines' documents describe them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/emulators/common/http_server.hpp"
#include "tests/emulators/engine/weight_control.hpp"

namespace ebb::emulator {

/// One request to them.
struct WeightCall {
  std::string route;  ///< "POST /pause"
  std::map<std::string, std::string> query;
  nlohmann::json body;  ///< an empty object when there is none; discarded: it is no JSON
  std::shared_ptr<HttpReply> reply;
  [[nodiscard]] bool asks(const std::string& key, bool otherwise) const;  ///< a bool of the query
  [[nodiscard]] bool says(const std::string& key, bool otherwise) const;  ///< a bool of the body
  [[nodiscard]] std::string text(const std::string& key) const;           ///< of the body; empty: none
};

awaitable<void> answer(std::shared_ptr<HttpReply> reply, int status, nlohmann::json body);
awaitable<void> answer_text(std::shared_ptr<HttpReply> reply, int status, std::string body);

class WeightRoutes {
 public:
  WeightRoutes(WeightControl& control, Dialect dialect) : control_(control), dialect_(dialect) {}
  /// Whether the path is one of theirs now; without dev mode none is.
  [[nodiscard]] bool owns(const std::string& path) const;
  awaitable<void> handle(HttpRequestIn request, std::shared_ptr<HttpReply> reply);

 private:
  awaitable<void> vllm(WeightCall call);
  awaitable<void> vllm_pause(WeightCall call);
  awaitable<void> vllm_resume(WeightCall call);
  awaitable<void> vllm_update(WeightCall call);
  awaitable<void> vllm_name(WeightCall call);
  awaitable<void> vllm_reset(WeightCall call);
  awaitable<void> vllm_load_adapter(WeightCall call);
  awaitable<void> vllm_unload_adapter(WeightCall call);
  awaitable<void> sglang(WeightCall call);
  awaitable<void> sglang_update(WeightCall call);
  awaitable<void> sglang_pause(WeightCall call);
  awaitable<void> sglang_continue(WeightCall call);
  awaitable<void> sglang_flush(WeightCall call);
  awaitable<void> sglang_name(WeightCall call);
  awaitable<void> sglang_info(WeightCall call);
  awaitable<void> sglang_adapter(WeightCall call);
  awaitable<void> sglang_pull(WeightCall call);
  /// Whether the cache could be flushed.
  bool flush();

  WeightControl& control_;
  Dialect dialect_;
  bool retracted_ = false;  ///< SGLang: the pause under way
};

}  // namespace ebb::emulator
