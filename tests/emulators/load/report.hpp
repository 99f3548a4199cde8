// What a load generator counts, and how it is written down.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tests/emulators/load/call.hpp"
#include "tests/emulators/load/stats.hpp"

namespace ebb::emulator {

struct LoadReport {
  std::uint64_t requests = 0;  ///< begun
  std::uint64_t completed = 0;
  std::uint64_t retries = 0;   ///< sent again before the first token; no error
  std::uint64_t tokens = 0;    ///< of completed requests
  std::uint64_t received = 0;  ///< every token that came, also of those that broke
  std::uint64_t mismatches = 0;
  std::map<std::string, std::uint64_t> errors;   ///< by kind
  std::map<std::string, std::uint64_t> retried;  ///< by kind
  std::map<std::string, std::uint64_t> weights;  ///< completed requests by weights identity
  std::string last_error;
  Latencies ttft;
  Latencies itl;
  Latencies e2e;

  [[nodiscard]] std::uint64_t error_count() const;
  void note_error(const std::string& kind, const std::string& detail);
};

/// p50, p95, p99, mean, max, count.
nlohmann::json to_json(const Latencies& latencies);
/// Every field above, with "errors" as the total and "errors_by_kind" beside it.
nlohmann::json to_json(const LoadReport& report);

}  // namespace ebb::emulator
