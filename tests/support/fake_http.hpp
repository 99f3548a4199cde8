// An HttpClient with knobs: answers by URL, records what was asked.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/ports/http_client.hpp"

namespace ebb::test {

inline HttpResponse answer(int status, std::string body, std::string type = "text/plain; version=0.0.4") {
  HttpResponse response;
  response.status = status;
  response.headers["content-type"] = std::move(type);
  response.body = std::move(body);
  return response;
}

class FakeHttp : public HttpClient {
 public:
  /// Answers by exact URL; `respond` (when set) is asked before. What is in neither is refused.
  std::map<std::string, Result<HttpResponse>> answers;
  std::function<Result<HttpResponse>(const HttpRequest&)> respond;
  std::vector<HttpRequest> requests;

  void serve(const std::string& url, std::string body) { answers.insert_or_assign(url, answer(200, std::move(body))); }
  void fail(const std::string& url, ErrorCode code, std::string what) {
    answers.insert_or_assign(url, Error{code, std::move(what), true});
  }

  awaitable<Result<HttpResponse>> send(HttpRequest request) override {
    requests.push_back(request);
    if (respond) co_return respond(request);
    const auto found = answers.find(request.url);
    if (found == answers.end()) co_return Error{ErrorCode::unreachable, "connection refused", true};
    co_return found->second;
  }
};

}  // namespace ebb::test
