#include "tests/emulators/load/report.hpp"

#include <nlohmann/json.hpp>

namespace ebb::emulator {

std::uint64_t LoadReport::error_count() const {
  std::uint64_t sum = 0;
  for (const auto& [kind, count] : errors) sum += count;
  return sum;
}

void LoadReport::note_error(const std::string& kind, const std::string& detail) {
  ++errors[kind];
  last_error = kind + ": " + detail;
}

nlohmann::json to_json(const Latencies& latencies) {
  return nlohmann::json{{"p50", latencies.percentile(50)}, {"p95", latencies.percentile(95)},
                        {"p99", latencies.percentile(99)}, {"mean", latencies.mean()},
                        {"max", latencies.max()},          {"count", latencies.count()}};
}

nlohmann::json to_json(const LoadReport& report) {
  return nlohmann::json{
      {"requests", report.requests},           {"completed", report.completed},   {"errors", report.error_count()},
      {"errors_by_kind", report.errors},       {"last_error", report.last_error}, {"retries", report.retries},
      {"retries_by_kind", report.retried},     {"tokens", report.tokens},         {"tokens_received", report.received},
      {"token_mismatches", report.mismatches}, {"weights", report.weights},       {"ttft_s", to_json(report.ttft)},
      {"itl_s", to_json(report.itl)},          {"e2e_s", to_json(report.e2e)}};
}

}  // namespace ebb::emulator
