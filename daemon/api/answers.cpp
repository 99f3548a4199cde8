#include "daemon/api/answers.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/model/json_text.hpp"

namespace ebb {
namespace {

using nlohmann::json;

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid: return 400;
    case ErrorCode::not_found: return 404;
    case ErrorCode::conflict: return 409;
    case ErrorCode::denied: return 403;
    case ErrorCode::throttled: return 429;
    case ErrorCode::timeout: return 504;
    case ErrorCode::unreachable:
    case ErrorCode::exhausted:
    case ErrorCode::cancelled: return 503;
    case ErrorCode::malformed:
    case ErrorCode::internal: return 500;
  }
  return 500;
}

}  // namespace

Response json_response(const json& value, int status) {
  Response response;
  response.status = status;
  response.body = json_text(value);
  return response;
}

Response text_response(std::string text, int status) {
  Response response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text);
  return response;
}

Response problem(int status, const std::string& detail) {
  json body = json::object();
  body["type"] = "about:blank";
  body["title"] = reason_of(status);
  body["status"] = status;
  body["detail"] = detail;
  Response response = json_response(body, status);
  response.content_type = "application/problem+json";
  if (status == 503) response.headers["Retry-After"] = "1";
  return response;
}

Response problem(const Error& error) { return problem(status_of(error.code), error.what); }

}  // namespace ebb
