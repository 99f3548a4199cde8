// The answer to an instant query of the Prometheus HTTP API, as one number or the reason why there is none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/reading.hpp"
#include "daemon/model/result.hpp"

namespace ebb::prometheus {

/// The one series of an answer. The number may be NaN or infinite here.
struct Instant {
  double value = 0;
  TimePoint at{};                     ///< evaluation time, by the server's clock
  std::vector<std::string> warnings;  ///< not empty: the data is partial
};

/// Reads an answer of any HTTP status; no input makes it throw. Errors:
/// `invalid` the query or selector is wrong (bad_data, execution, more than one series, histogram, matrix);
/// `not_found` no series matched (or HTTP 404); `denied`, `throttled`, `timeout`, `unreachable`, `internal` the
/// server's troubles; `malformed` no Prometheus answered (HTML, cut JSON, foreign shapes).
Result<Instant> instant_from(int status, std::string_view body);

/// The number as a reading. NaN, infinities, negative numbers and (unless accepted) warnings are Missing. The
/// sample's time is the server's, but never later than `now`: a server whose clock lags looks stale, not fresh.
Reading<double> reading_of(const Result<Instant>& instant, bool accept_warnings, TimePoint now);

/// Why a query must not decide about capacity, or empty. `or vector(0)` turns "no data" into "no load", and the GPUs
/// of a service whose metrics are gone would be lent out.
std::string danger_in(std::string_view promql);

/// `name=value&...` with everything but unreserved characters percent-encoded ('+' would mean a blank).
std::string form_encoded(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace ebb::prometheus
