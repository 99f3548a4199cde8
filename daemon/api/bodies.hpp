// From a request's body to what it asks for. Pure; the fuzz target feeds these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/snapshot.hpp"
#include "daemon/model/state.hpp"

namespace ebb {

inline constexpr Duration kTtlMin{1'000};
inline constexpr Duration kTtlMax{30LL * 86'400'000};  ///< an override nobody remembers does not outlive a month
inline constexpr std::size_t kReasonMax = 500;
inline constexpr std::size_t kOwnerMax = 100;
inline constexpr std::size_t kOverridesMax = 64;  ///< at a time

/// The body of POST /v1/overrides: kind, target, replicas (pin only), reason, owner, ttl. `id` and `created_at` are
/// left to the daemon. The target must be something of `config`.
Result<Override> override_from_body(const std::string& body, const Config& config, TimePoint now);

/// The body of PUT /v1/jobs/{job}/demand: replicas or rollouts, and ttl.
Result<Demand> demand_from_body(const std::string& body, TimePoint now);

inline constexpr std::size_t kRunMax = 100;

/// The body of POST /v1/jobs/{job}/snapshots: identity, kind, previous_identity, run, step, reset_prompt_cache,
/// compression_format, checksum_format.
Result<Publication> publication_from_body(const std::string& body);

/// The body of POST /v1/jobs/{job}/snapshots:plan: run and step, both optional.
struct PlanWanted {
  std::string run;
  std::optional<std::int64_t> step;
};
Result<PlanWanted> plan_from_body(const std::string& body);

}  // namespace ebb
