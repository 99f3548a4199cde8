// Between a request and the options of its curl handle, between curl's codes and ours. Internal to adapters/http.
#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "daemon/model/result.hpp"
#include "daemon/ports/http_client.hpp"

namespace ebb {

/// `text`: curl's own words, or empty. `once`: whoever sent it wants to know whether it may have arrived.
Error curl_error(CURLcode code, std::string text, bool once);

/// A proxy from the environment is for the world outside, not for what runs beside us.
bool is_loopback(const std::string& url);

/// How the request says who asks. A signature covers every header that is given here, also one that is taken out.
void authenticate(CURL* easy, const HttpRequest& request);

/// Without a line break, which could smuggle a header.
bool printable(std::string_view text);

}  // namespace ebb
