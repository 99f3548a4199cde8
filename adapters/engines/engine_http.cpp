#include "adapters/engines/engine_http.hpp"

#include <spdlog/fmt/fmt.h>

#include <utility>

#include "adapters/http/auth.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb {
namespace {

using nlohmann::json;

constexpr std::size_t kReasonMax = 200;

ErrorCode code_of(int status) {
  switch (status) {
    case 401:
    case 403: return ErrorCode::denied;
    case 404: return ErrorCode::not_found;
    case 409: return ErrorCode::conflict;
    case 408:
    case 425:
    case 429: return ErrorCode::throttled;
    default: return status >= 400 && status < 500 ? ErrorCode::invalid : ErrorCode::internal;
  }
}

}  // namespace

std::string EngineAnswer::word(const char* key) const {
  if (!body.is_object()) return "";
  const auto at = body.find(key);
  return at != body.end() && at->is_string() ? at->get<std::string>() : "";
}

bool EngineAnswer::flag(const char* key) const {
  if (!body.is_object()) return false;
  const auto at = body.find(key);
  return at != body.end() && at->is_boolean() && at->get<bool>();
}

EngineHttp::EngineHttp(EndpointConfig credentials, HttpClient& http, Clock& clock)
    : credentials_(std::move(credentials)), http_(http), clock_(clock) {}

awaitable<Result<EngineAnswer>> EngineHttp::get(std::string url, TimePoint deadline) const {
  std::string method = "GET";
  co_return co_await send(std::move(method), std::move(url), std::string(), deadline);
}

awaitable<Result<EngineAnswer>> EngineHttp::post(std::string url, json body, TimePoint deadline) const {
  std::string method = "POST";
  std::string text = json_text(body);
  co_return co_await send(std::move(method), std::move(url), std::move(text), deadline);
}

awaitable<Result<EngineAnswer>> EngineHttp::put(std::string url, json body, TimePoint deadline) const {
  std::string method = "PUT";
  std::string text = json_text(body);
  co_return co_await send(std::move(method), std::move(url), std::move(text), deadline);
}

awaitable<Result<EngineAnswer>> EngineHttp::send(std::string method, std::string url, std::string body,
                                                 TimePoint deadline) const {
  const Duration left = deadline - clock_.now();
  if (left <= Duration::zero()) co_return Error{ErrorCode::timeout, "no time left to ask", true};
  EndpointConfig there = credentials_;
  there.url.clear();
  Result<HttpRequest> made = request_for(there, "/");
  if (!made.ok()) co_return made.error();
  HttpRequest request = std::move(*made);
  request.url = std::move(url);
  request.method = std::move(method);
  if (!body.empty()) request.headers["Content-Type"] = "application/json";
  request.body = std::move(body);
  request.timeout = left;
  Result<HttpResponse> response = co_await http_.send(std::move(request));
  if (!response.ok()) co_return response.error();
  EngineAnswer answer;
  answer.status = response->status;
  answer.text = std::move((*response).body);
  answer.body = json::parse(answer.text, nullptr, false);
  if (answer.body.is_discarded()) answer.body = nullptr;
  co_return answer;
}

std::string reason_of(const EngineAnswer& answer) {
  if (answer.body.is_object()) {
    for (const char* key : {"message", "error", "detail"}) {
      if (std::string word = answer.word(key); !word.empty()) return word;
    }
    const auto error = answer.body.find("error");
    if (error != answer.body.end() && error->is_object() && error->contains("message")) {
      const json& message = error->at("message");
      return message.is_string() ? message.get<std::string>() : json_text(message);
    }
  }
  return answer.text.substr(0, std::min(answer.text.find('\n'), kReasonMax));
}

Error refusal(const EngineAnswer& answer, const std::string& what) {
  const ErrorCode code = code_of(answer.status);
  const bool again = code == ErrorCode::internal || code == ErrorCode::throttled;
  const std::string reason = reason_of(answer);
  return {code, fmt::format("{} answers {}{}{}", what, answer.status, reason.empty() ? "" : ": ", reason), again};
}

std::string root_in_models(const json& models, const std::string& adapter) {
  if (!models.is_object() || !models.contains("data") || !models.at("data").is_array()) return "";
  for (const json& card : models.at("data")) {
    const auto text = [&card](const char* key) {
      const bool there = card.is_object() && card.contains(key) && card.at(key).is_string();
      return there ? card.at(key).get<std::string>() : std::string();
    };
    if (text("id") == adapter) return text("root");
  }
  return "";
}

std::string url_of(std::string base, std::string_view path) {
  while (base.ends_with('/')) base.pop_back();
  return base + std::string(path);
}

std::string host_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  std::string rest = scheme == std::string::npos ? url : url.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (const std::size_t user = rest.rfind('@'); user != std::string::npos) rest.erase(0, user + 1);
  if (rest.starts_with('[')) return rest.substr(0, rest.find(']') + 1);
  return rest.substr(0, rest.find(':'));
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace ebb
