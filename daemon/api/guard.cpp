#include "daemon/api/guard.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "daemon/api/answers.hpp"
#include "daemon/api/wire.hpp"

namespace ebb {
namespace {

constexpr std::size_t kSecretMax = 64u << 10;

std::string without_line_end(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

/// "[::1]:8470" and "localhost:8470" without their port and brackets.
std::string host_of(const std::string& authority) {
  if (!authority.empty() && authority.front() == '[') return authority.substr(1, authority.find(']') - 1);
  return lower(authority.substr(0, authority.find(':')));
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

bool is_write(const std::string& method) { return method == "POST" || method == "PUT" || method == "DELETE"; }

std::string media_type(const Request& request) {
  const std::string value = request.header("content-type");
  std::string type = lower(value.substr(0, value.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type;
}

/// What a browser says about a page that is not ours.
bool is_foreign(const Request& request) {
  const std::string site = request.header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string origin = request.header("origin");
  if (origin.empty()) return false;
  const std::string host = lower(request.header("host"));
  return lower(origin) != "http://" + host && lower(origin) != "https://" + host;
}

std::optional<Response> check_write(const Request& request) {
  if (!is_write(request.method)) return std::nullopt;
  if (is_foreign(request)) return problem(403, "the request comes from a page of another origin");
  const bool has_body = request.method != "DELETE" || !request.body.empty();
  if (has_body && media_type(request) != "application/json") {
    return problem(415, "send the body as Content-Type: application/json");
  }
  return std::nullopt;
}

std::optional<Response> check_loopback(const Request& request, const ApiConfig& config) {
  boost::system::error_code error;
  const auto peer = boost::asio::ip::make_address(request.peer, error);
  if (error || !peer.is_loopback()) return problem(403, "without api.tokens only this host may ask");
  const std::string authority = request.header("host");
  const std::string host = host_of(authority);
  // HTTP/1.0 has no Host; no browser speaks it.
  if (authority.empty() || is_loopback(host) || host == host_of(config.listen)) return std::nullopt;
  return problem(421,
                 "the Host header names neither loopback nor api.listen; configure api.tokens to be reached by name");
}

Response unauthorised(const std::string& detail, const char* challenge) {
  Response response = problem(401, detail);
  response.headers["WWW-Authenticate"] = challenge;
  return response;
}

bool has_scope(const TokenConfig& token, Scope needed, const std::string& job) {
  return std::any_of(token.scopes.begin(), token.scopes.end(), [&](const std::string& scope) {
    if (scope == "operate") return true;
    if (scope == "read") return needed == Scope::read || needed == Scope::follow;
    const bool this_job = scope == "publish" || (!job.empty() && scope == "publish:" + job);
    return this_job && (needed == Scope::publish || needed == Scope::follow);
  });
}

const char* name_of(Scope scope) {
  switch (scope) {
    case Scope::open: return "open";
    case Scope::read: return "read";
    case Scope::follow: return "read or publish";
    case Scope::publish: return "publish";
    case Scope::operate: return "operate";
  }
  return "operate";
}

/// The token of a request; empty: none. Trainers written for Fireworks may send it as X-Api-Key.
std::string token_in(const Request& request, Scope needed) {
  const std::string given = request.header("authorization");
  const bool trainer = needed == Scope::follow || needed == Scope::publish;
  if (given.empty() && trainer) return request.header("x-api-key");
  const bool bearer = given.size() > 7 && lower(given.substr(0, 7)) == "bearer ";
  return bearer ? given.substr(7) : "";
}

}  // namespace

const std::string& Secrets::read(const SecretRef& ref) {
  Kept& kept = kept_[ref.where];
  if (ref.where.rfind("env:", 0) == 0) {
    const char* value = std::getenv(ref.where.substr(4).c_str());
    kept.text = value == nullptr ? "" : without_line_end(value);
    return kept.text;
  }
  if (ref.where.rfind("file:", 0) != 0) return kept.text;
  const std::filesystem::path path = ref.where.substr(5);
  std::error_code error;
  const auto written = std::filesystem::last_write_time(path, error);
  const auto size = error ? 0 : std::filesystem::file_size(path, error);
  if (error || size > kSecretMax) {
    kept = Kept();
    return kept.text;
  }
  if (written == kept.written && size == kept.size) return kept.text;
  std::ifstream file(path, std::ios::binary);
  kept.text = without_line_end({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  kept.written = written;
  kept.size = size;
  return kept.text;
}

bool same_secret(const std::string& given, const std::string& secret) {
  if (secret.empty()) return false;
  volatile unsigned char difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const int bits = given[i] ^ secret[i % secret.size()];
    difference = static_cast<unsigned char>(difference | bits);
  }
  return difference == 0;
}

std::optional<Response> Guard::check_token(const Request& request, Scope needed, const std::string& job,
                                           const ApiConfig& config, std::string& who) {
  const std::string given = token_in(request, needed);
  if (given.empty() && request.header("authorization").empty()) {
    return unauthorised("send a token as Authorization: Bearer TOKEN", "Bearer realm=\"ebb\"");
  }
  const TokenConfig* found = nullptr;
  // All of them, whichever fits: the time taken does not tell which.
  for (const TokenConfig& token : config.tokens) {
    if (same_secret(given, secrets_.read(token.secret))) found = &token;
  }
  if (found == nullptr) return unauthorised("the token is not known", "Bearer realm=\"ebb\", error=\"invalid_token\"");
  who = found->name;
  if (has_scope(*found, needed, job)) return std::nullopt;
  return problem(403, "the token '" + found->name + "' lacks the scope " + name_of(needed));
}

std::optional<Response> Guard::refuse(const Request& request, Scope needed, const std::string& job,
                                      const ApiConfig& config, std::string& who) {
  if (config.tokens.empty()) {
    if (auto refusal = check_loopback(request, config)) return refusal;
  } else if (needed != Scope::open) {
    if (auto refusal = check_token(request, needed, job, config, who)) return refusal;
  }
  return check_write(request);
}

}  // namespace ebb
