// JSON from outside: no key twice, no nesting without end, no exception.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "daemon/model/result.hpp"

namespace ebb::pull {

/// `invalid`: not JSON in UTF-8, a key twice in one object, or more than `depth_max` objects and lists in each other.
Result<nlohmann::json> parse_strictly(std::string_view text, int depth_max);

}  // namespace ebb::pull
