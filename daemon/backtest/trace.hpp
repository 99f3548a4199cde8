// Production traffic as a table, from a file or made up.
#pragma once

#include <string>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::backtest {

struct TraceRow {
  double time_s = 0;
  double requests_per_s = 0;
  double prompt_tokens = 0;  ///< mean per request
  double output_tokens = 0;  ///< mean per request
};

/// One request of a per-request trace.
struct TraceRequest {
  double time_s = 0;  ///< since the first request
  double prompt_tokens = 0;
  double output_tokens = 0;
};

/// Either rows of rates or single requests; times ascend and begin at 0.
struct Trace {
  std::string name;
  std::vector<TraceRow> rows;
  std::vector<TraceRequest> requests;
  [[nodiscard]] double seconds() const;
};

/// Reads a CSV file of at most 256 MiB with one of two headers:
///   time_s,requests_per_s,prompt_tokens_per_request,output_tokens_per_request
///   TIMESTAMP,ContextTokens,GeneratedTokens
/// Errors name file, line and what is wrong: a number that is none, negative or not finite, a time that does not
/// ascend, too few rows.
Result<Trace> load_trace(const std::string& path);

/// A week that anybody can run without a file: working days with two humps, quiet nights and weekends, a burst now and
/// then. One row a minute; the same for the same seed.
Trace synthetic_week(int seed);

}  // namespace ebb::backtest
