// The forms that answers take. Internal to the API.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "daemon/api/http.hpp"
#include "daemon/model/result.hpp"

namespace ebb {

Response json_response(const nlohmann::json& value, int status = 200);
Response text_response(std::string text, int status = 200);

/// RFC 9457 problem details. `detail` is one sentence that says what to do next.
Response problem(int status, const std::string& detail);
/// The error's code decides the status.
Response problem(const Error& error);

}  // namespace ebb
