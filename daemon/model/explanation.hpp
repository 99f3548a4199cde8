// Why, as data: a rule and its typed arguments. Rendered only when somebody reads it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/model/time.hpp"

namespace ebb {

enum class Stage { freshness, need, reserve, allocate, guardrails, leases, snapshots, admission, diff, check };

using Arg = std::variant<std::int64_t, double, std::string, Duration, TimePoint>;

struct Step {
  Stage stage = Stage::freshness;
  std::string rule;     ///< stable id, e.g. "need.target_tracking"; its sentence stands in explanation.cpp
  std::string subject;  ///< the service, job, deployment, pool or replica it is about
  std::vector<std::pair<std::string, Arg>> args;
  friend bool operator==(const Step&, const Step&) = default;
};

using Explanation = std::vector<Step>;

/// One plain sentence with its numbers. A rule without a sentence renders as "rule: name=value ...".
std::string to_sentence(const Step& step);
const char* to_string(Stage stage);

}  // namespace ebb
