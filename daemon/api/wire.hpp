// The bytes around an answer, and the address to listen on: what the server needs and Beast is not needed for.
// Internal to the API.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "daemon/api/http.hpp"
#include "daemon/model/result.hpp"

namespace ebb {

std::string lower(std::string text);

/// Status line and headers, but for the length and the empty line. `version`: 10 or 11.
std::string head_of(const Response& response, unsigned version, bool keep_alive);

/// "127.0.0.1:8470", "[::1]:0" or "localhost:8470"; other names are not resolved.
Result<boost::asio::ip::tcp::endpoint> endpoint_from(const std::string& listen);

}  // namespace ebb
