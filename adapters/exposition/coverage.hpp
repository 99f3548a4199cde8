// Sums over replicas that are known only when every one of them reported.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "adapters/exposition/dialects.hpp"
#include "daemon/model/observation.hpp"

namespace ebb::exposition {

/// One target's numbers in one round, by signal name; a figure without a value says why.
struct TargetReport {
  std::string name;
  bool fresh = false;                     ///< a page was read, and it is not frozen
  std::string why_not;                    ///< otherwise
  std::map<std::string, Figure> figures;  ///< empty when not fresh
  std::optional<double> load_at_least;    ///< what is certain of "in_flight" when its figure has no value
  std::optional<double> works_on;         ///< requests in flight as its page says, also when frozen
};

/// The signals of the whole deployment, every one of `names` and what the reports have beside. A value is the sum over
/// all reports. One report without it makes it Missing ("2 of 3 replicas reported: chat-7: HTTP 503"), with the sum
/// of the others as `at_least`. No report at all is Missing too: a service without a ready replica is starting, broken
/// or scaled to zero by somebody, and metrics cannot tell which, so it must not look idle.
std::map<std::string, SignalSeen> summed(const std::vector<TargetReport>& reports,
                                         const std::vector<std::string>& names, TimePoint taken_at);

}  // namespace ebb::exposition
