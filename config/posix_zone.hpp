// The rule at the end of a zone file, "EST5EDT,M3.2.0,M11.1.0" (POSIX TZ with the extensions of RFC 8536, 3.3.1).
// Internal to config/.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "daemon/model/time_zone.hpp"

namespace ebb {

/// When the offset changes between `after` and the end of `last_year`, by the rule. Nothing for a rule that cannot be
/// read. An empty rule, or one without summer time, changes at most once, at `after`.
std::optional<std::vector<OffsetChange>> changes_by_rule(std::string_view rule_text, TimePoint after, int last_year);

}  // namespace ebb
