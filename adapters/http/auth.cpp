#include "adapters/http/auth.hpp"

#include <cstdlib>
#include <fstream>
#include <utility>

namespace ebb {

namespace {

constexpr std::size_t kSecretMax = 64u << 10;

Error denied(const SecretRef& ref, const char* why) {
  return {ErrorCode::denied, "secret " + ref.where + ": " + why, true};
}

Result<std::string> raw_secret(const SecretRef& ref) {
  const std::string_view where = ref.where;
  if (where.starts_with("env:")) {
    const char* value = std::getenv(std::string(where.substr(4)).c_str());
    if (value == nullptr) return denied(ref, "the variable is not set");
    return std::string(value);
  }
  if (!where.starts_with("file:")) {
    // The text itself may be a secret written in the wrong place, so it is not repeated.
    return Error{ErrorCode::invalid, "a secret must be given as file:PATH or env:NAME", false};
  }
  std::ifstream file(std::string(where.substr(5)), std::ios::binary);
  std::string text(kSecretMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return denied(ref, "the file cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

Result<std::string> read_secret(const SecretRef& ref) {
  Result<std::string> raw = raw_secret(ref);
  if (!raw.ok()) return raw;
  std::string text = std::move(*raw);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) return denied(ref, "it is empty");
  if (text.size() > kSecretMax) return denied(ref, "it is longer than 64 KiB");
  if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
    return denied(ref, "it has more than one line");
  }
  return text;
}

Result<HttpRequest> request_for(const EndpointConfig& endpoint, std::string_view path) {
  std::string url = endpoint.url;
  while (url.ends_with('/')) url.pop_back();
  if (!path.starts_with('/')) url += '/';
  HttpRequest request(url + std::string(path));
  request.headers = endpoint.headers;
  request.ca_file = endpoint.ca_file;
  if (!endpoint.bearer_token.empty()) {
    const Result<std::string> token = read_secret(endpoint.bearer_token);
    if (!token.ok()) return token.error();
    request.headers["Authorization"] = "Bearer " + *token;
  }
  if (!endpoint.basic_user.empty()) {
    request.basic_user = endpoint.basic_user;
    if (!endpoint.basic_password.empty()) {
      Result<std::string> password = read_secret(endpoint.basic_password);
      if (!password.ok()) return password.error();
      request.basic_password = std::move(*password);
    }
  }
  return request;
}

}  // namespace ebb
