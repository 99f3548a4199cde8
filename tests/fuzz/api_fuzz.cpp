// Any bytes as a request's body, query or JSON: no crash, and what is accepted is inside its bounds.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "daemon/api/answers.hpp"
#include "daemon/api/bodies.hpp"
#include "daemon/api/http.hpp"
#include "daemon/api/wire_face.hpp"
#include "tests/support/builders.hpp"

using namespace ebb;

namespace {

void demand_that(bool kept) {
  if (!kept) std::abort();
}

/// A refusal is a problem document whatever was sent.
void check_refusal(const Error& error) {
  const Response response = problem(error);
  demand_that(response.status == 400 && !error.what.empty());
  demand_that(!nlohmann::json::parse(response.body, nullptr, false).is_discarded());
}

void check_override(const std::string& body, const Config& config, TimePoint now) {
  const Result<Override> wanted = override_from_body(body, config, now);
  if (!wanted.ok()) return check_refusal(wanted.error());
  demand_that(wanted->expires_at >= now + kTtlMin && wanted->expires_at <= now + kTtlMax);
  demand_that(!wanted->reason.empty() && wanted->reason.size() <= kReasonMax && !wanted->owner.empty());
  demand_that(wanted->replicas.count >= 0);
  for (const char c : wanted->reason + wanted->owner + wanted->target)
    demand_that(static_cast<unsigned char>(c) >= 0x20);
}

void check_demand(const std::string& body, TimePoint now) {
  const Result<Demand> wanted = demand_from_body(body, now);
  if (!wanted.ok()) return check_refusal(wanted.error());
  demand_that(wanted->replicas.has_value() != wanted->rollouts.has_value());
  const double amount = wanted->replicas.value_or(wanted->rollouts.value_or(-1));
  demand_that(std::isfinite(amount) && amount >= 0);
}

void check_publications(const std::string& body) {
  for (const Result<Publication>& said : {publication_from_body(body), publication_from_wire(body)}) {
    if (!said.ok()) {
      check_refusal(said.error());
      continue;
    }
    demand_that(said->identity.value.size() <= 200 && said->parent.value.size() <= 200);
    demand_that(!said->step || *said->step >= 0);
  }
  const Result<PlanWanted> wanted = plan_from_body(body);
  if (!wanted.ok()) return check_refusal(wanted.error());
  demand_that(wanted->run.size() <= kRunMax && (!wanted->step || *wanted->step >= 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Config config = testing::small_config();
  const TimePoint now = testing::kStart;
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_override(text, config, now);
  check_demand(text, now);
  check_publications(text);
  for (const std::string& target : {text, "/v1/" + text, "/v1/status?" + text}) {
    const Result<RequestTarget> taken = target_from(target);
    if (!taken.ok()) check_refusal(taken.error());
  }
  return 0;
}
