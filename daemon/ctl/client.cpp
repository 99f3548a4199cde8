#include "daemon/ctl/client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <exception>
#include <fstream>
#include <iterator>
#include <optional>

#include "daemon/ctl/table.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::ctl {
namespace {

constexpr Duration kTimeout{10'000};
constexpr std::size_t kBodyMax = 256u << 20;  // a page of decisions of a very large fleet

Reply failed(int exit, std::string problem) {
  Reply reply;
  reply.exit = exit;
  reply.problem = harmless(problem);
  return reply;
}

awaitable<void> ask(CurlClient& http, HttpRequest request, std::optional<Result<HttpResponse>>& answer) {
  answer.emplace(co_await http.send(std::move(request)));
}

std::string detail_of(const nlohmann::json& body) {
  if (!body.is_object()) return "";
  const auto detail = body.find("detail");
  return detail != body.end() && detail->is_string() ? detail->get<std::string>() : "";
}

}  // namespace

Client::Client(std::string url, std::string token_file) : url_(std::move(url)) {
  while (!url_.empty() && url_.back() == '/') url_.pop_back();
  if (token_file.empty()) return;
  std::ifstream file(token_file, std::ios::binary);
  token_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  while (!token_.empty() && std::isspace(static_cast<unsigned char>(token_.back())) != 0) token_.pop_back();
  if (token_.empty())
    token_problem_ = "cannot read a token from " + token_file + "; check --token-file or EBB_TOKEN_FILE";
}

Reply Client::send(const std::string& method, const std::string& path, const nlohmann::json& body) {
  if (!token_problem_.empty()) return failed(kUnauthorised, token_problem_);
  HttpRequest request(url_ + path);
  request.method = method;
  request.timeout = kTimeout;
  request.body_max = kBodyMax;
  request.headers["Accept"] = "application/json";
  if (!token_.empty()) request.headers["Authorization"] = "Bearer " + token_;
  if (!body.is_null()) {
    request.headers["Content-Type"] = "application/json";
    request.body = json_text(body);
  }
  std::optional<Result<HttpResponse>> answer;
  boost::asio::co_spawn(io_, ask(http_, std::move(request), answer), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  io_.restart();
  io_.run();
  if (!answer->ok()) {
    const Error& error = answer->error();
    if (error.code == ErrorCode::invalid) return failed(kUsage, error.what + "; check --url " + url_);
    return failed(kUnreachable, "cannot reach ebbd at " + url_ + ": " + error.what +
                                    "; is it running, and is --url (or EBB_URL) right?");
  }
  return understood(**answer);
}

Reply Client::understood(const HttpResponse& answer) const {
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  const std::string detail = body.is_discarded() ? "" : detail_of(body);
  const std::string said = detail.empty() ? "status " + std::to_string(answer.status) : detail;
  if (answer.status == 401) {
    return failed(kUnauthorised, said + "; name a file with the token in --token-file or EBB_TOKEN_FILE");
  }
  if (answer.status == 403) return failed(kUnauthorised, said);
  if (answer.status >= 400) return failed(kRefused, said);
  if (answer.status == 204) return Reply();
  if (answer.status >= 300 || !body.is_object()) {
    return failed(kRefused, url_ + " does not answer as ebbd does (status " + std::to_string(answer.status) +
                                "); is --url right?");
  }
  Reply reply;
  reply.body = body;
  return reply;
}

void Client::pause(Duration span) {
  boost::asio::steady_timer timer(io_);
  timer.expires_after(span);
  timer.async_wait([](boost::system::error_code) {});
  io_.restart();
  io_.run();
}

std::string percent_encoded(const std::string& text) {
  static constexpr const char* kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

}  // namespace ebb::ctl
