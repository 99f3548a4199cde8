#include "adapters/http/curl_request.hpp"

#include <algorithm>
#include <utility>

namespace ebb {

Error curl_error(CURLcode code, std::string text, bool once) {
  if (text.empty()) text = curl_easy_strerror(code);
  switch (code) {
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE: return {once ? ErrorCode::internal : ErrorCode::unreachable, std::move(text), true};
    case CURLE_OPERATION_TIMEDOUT: return {ErrorCode::timeout, std::move(text), true};
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CACERT_BADFILE: return {ErrorCode::invalid, std::move(text), false};
    case CURLE_PEER_FAILED_VERIFICATION: return {ErrorCode::unreachable, std::move(text), false};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_HTTP3:
    case CURLE_WRITE_ERROR: return {ErrorCode::malformed, std::move(text), true};
    case CURLE_OUT_OF_MEMORY: return {ErrorCode::exhausted, std::move(text), true};
    default: return {ErrorCode::unreachable, std::move(text), true};
  }
}

bool is_loopback(const std::string& url) {
  CURLU* parsed = curl_url();
  char* host = nullptr;
  bool loopback = false;
  if (curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
    const std::string_view name(host);
    loopback = name == "localhost" || name == "[::1]" || name.starts_with("127.");
  }
  curl_free(host);
  curl_url_cleanup(parsed);
  return loopback;
}

void authenticate(CURL* easy, const HttpRequest& request) {
  if (request.basic_user.empty()) return;
  if (request.sigv4.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
  } else {
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, request.sigv4.c_str());
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);  // what is signed is what the caller wrote
  }
  curl_easy_setopt(easy, CURLOPT_USERNAME, request.basic_user.c_str());
  curl_easy_setopt(easy, CURLOPT_PASSWORD, request.basic_password.c_str());
}

bool printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

}  // namespace ebb
