// Talking JSON to an inference engine's, or a puller's, own HTTP server.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/http_client.hpp"

namespace ebb {

struct EngineAnswer {
  int status = 0;
  std::string text;
  nlohmann::json body;  ///< null: no JSON
  [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
  /// A text or a bool of the body; empty and false where it has none.
  [[nodiscard]] std::string word(const char* key) const;
  [[nodiscard]] bool flag(const char* key) const;
};

/// Control thread. Copied into whatever outlives its maker; client and clock must outlive the io_context.
class EngineHttp {
 public:
  EngineHttp(EndpointConfig credentials, HttpClient& http, Clock& clock);

  /// Any status is a success. Errors are those of the transport, `denied` for a secret that cannot be read, and
  /// `timeout` once the deadline has passed.
  awaitable<Result<EngineAnswer>> get(std::string url, TimePoint deadline) const;
  awaitable<Result<EngineAnswer>> post(std::string url, nlohmann::json body, TimePoint deadline) const;
  awaitable<Result<EngineAnswer>> put(std::string url, nlohmann::json body, TimePoint deadline) const;
  [[nodiscard]] Clock& clock() const { return clock_; }

 private:
  awaitable<Result<EngineAnswer>> send(std::string method, std::string url, std::string body, TimePoint deadline) const;

  EndpointConfig credentials_;
  HttpClient& http_;
  Clock& clock_;
};

/// What a status other than 2xx means, with the text that the server gives as its reason.
Error refusal(const EngineAnswer& answer, const std::string& what);
/// The reason alone: `message`, `error` or `detail` of the body, or the beginning of the text.
std::string reason_of(const EngineAnswer& answer);

/// OpenAI's /v1/models: the path that an adapter was loaded from; empty: there is none of that name.
std::string root_in_models(const nlohmann::json& models, const std::string& adapter);

/// "http://host:port/" + "/path", with one slash.
std::string url_of(std::string base, std::string_view path);
/// "host" of "http://host:port"; with brackets where it is an IPv6 address.
std::string host_of(const std::string& url);
/// One segment of a path.
std::string percent_encoded(std::string_view text);

}  // namespace ebb
