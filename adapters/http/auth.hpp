// From a configured end point to a request that may be sent.
#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"
#include "daemon/model/result.hpp"
#include "daemon/ports/http_client.hpp"

namespace ebb {

/// The secret as it stands now, without trailing line breaks. Errors are `denied` and name the place, never the text:
/// unreadable, empty, longer than 64 KiB, or with a line break inside (it could smuggle a header).
Result<std::string> read_secret(const SecretRef& ref);

/// A GET of `path` ("/api/v1/query") below the end point's URL and prefix, with its headers and credentials. Secrets
/// are read on every call, so that a rotated token needs no reload. Reads small files: control thread is fine.
Result<HttpRequest> request_for(const EndpointConfig& endpoint, std::string_view path);

}  // namespace ebb
