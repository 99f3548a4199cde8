// What clients send.
#pragma once

#include <string>

#include "daemon/model/result.hpp"
#include "daemon/pull/puller.hpp"

namespace ebb::pull {

/// {"path": [{"identity": "a", "kind": "full"}, {"identity": "b", "kind": "incremental", "parent": "a"}]}, which must
/// lead to `identity`. Strict: every other key is refused. A full one's parent may be absent, null or empty. `invalid`
/// says what is wrong.
Result<Path> path_from(const std::string& body, const std::string& identity);

}  // namespace ebb::pull
