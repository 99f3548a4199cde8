#include "adapters/prometheus/answer.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "adapters/exposition/number.hpp"
#include "adapters/exposition/utf8.hpp"

namespace ebb::prometheus {

using nlohmann::json;

namespace {

constexpr std::size_t kTextMax = 160;

/// Foreign text for one line of an explanation: cut at a character, and only if it is UTF-8 at all.
std::string excerpt(std::string_view text) {
  if (!exposition::valid_utf8(text)) return "(not UTF-8)";
  std::size_t length = std::min(text.size(), kTextMax);
  while (length > 0 && length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  return std::string(text.substr(0, length)) + (length < text.size() ? "..." : "");
}

const json* member(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? &*found : nullptr;
}

std::string text_of(const json* value) {
  return value != nullptr && value->is_string() ? value->get_ref<const std::string&>() : std::string();
}

struct ErrorType {
  const char* name;
  ErrorCode code;
  bool retryable;
};

constexpr ErrorType kErrorTypes[] = {
    {"bad_data", ErrorCode::invalid, false},       {"execution", ErrorCode::invalid, false},
    {"not_acceptable", ErrorCode::invalid, false}, {"not_found", ErrorCode::not_found, false},
    {"timeout", ErrorCode::timeout, true},         {"canceled", ErrorCode::internal, true},
    {"internal", ErrorCode::internal, true},       {"unavailable", ErrorCode::unreachable, true},
};

Error error_of(const json& envelope) {
  const std::string type = text_of(member(envelope, "errorType"));
  const std::string what = fmt::format("Prometheus: {}: {}", type.empty() ? "error" : excerpt(type),
                                       excerpt(text_of(member(envelope, "error"))));
  for (const ErrorType& known : kErrorTypes) {
    if (type == known.name) return {known.code, what, known.retryable};
  }
  return {ErrorCode::internal, what, true};
}

/// Whatever stands in front of Prometheus (a proxy, a login page) answers in its own words.
Error error_of(int status) {
  const std::string what = fmt::format("HTTP {} and no Prometheus answer", status);
  if (status == 401 || status == 403) return {ErrorCode::denied, what, false};
  if (status == 404) return {ErrorCode::not_found, what, false};
  if (status == 429) return {ErrorCode::throttled, what, true};
  if (status == 503 || status == 502 || status == 504) return {ErrorCode::unreachable, what, true};
  if (status >= 500) return {ErrorCode::internal, what, true};
  if (status >= 400) return {ErrorCode::invalid, what, false};
  return {ErrorCode::malformed, what, true};
}

Error foreign(const char* what) { return {ErrorCode::malformed, fmt::format("Prometheus: {}", what), true}; }

/// [seconds, "number"]
Result<Instant> pair_from(const json* pair) {
  if (pair == nullptr || !pair->is_array() || pair->size() != 2) return foreign("a sample is not [time, \"value\"]");
  const json& time = (*pair)[0];
  const json& text = (*pair)[1];
  if (!time.is_number() || !text.is_string()) return foreign("a sample is not [time, \"value\"]");
  const auto seconds = time.get<double>();
  // From 1970 to 2242, so that milliseconds fit without a thought.
  if (!(seconds >= 0 && seconds < 8.6e9)) return foreign("a sample's time is out of range");
  const std::optional<double> value = parse_float(text.get_ref<const std::string&>());
  if (!value) return foreign("a sample's value is not a number");
  Instant instant;
  instant.value = *value;
  instant.at = TimePoint(Duration(static_cast<Duration::rep>(seconds * 1e3)));
  return instant;
}

Result<Instant> instant_from(const json& data) {
  const std::string type = text_of(member(data, "resultType"));
  const json* result = member(data, "result");
  if (result == nullptr || !result->is_array()) return foreign("the answer has no result");
  if (type == "scalar") return pair_from(result);
  if (type != "vector") {
    return Error{ErrorCode::invalid, fmt::format("the query gives a {}, one number is needed", excerpt(type)), false};
  }
  if (result->empty()) return Error{ErrorCode::not_found, "no series matched (which is not zero)", true};
  if (result->size() > 1) {
    return Error{ErrorCode::invalid,
                 fmt::format("the query gives {} series, one is needed: aggregate it, e.g. with sum()", result->size()),
                 false};
  }
  const json& series = (*result)[0];
  if (member(series, "histogram") != nullptr) {
    return Error{ErrorCode::invalid, "the query gives a native histogram, one number is needed", false};
  }
  return pair_from(member(series, "value"));
}

}  // namespace

Result<Instant> instant_from(int status, std::string_view body) {
  const json envelope = json::parse(body, nullptr, false);
  const std::string state = envelope.is_discarded() ? std::string() : text_of(member(envelope, "status"));
  if (state == "error") return error_of(envelope);
  if (state != "success" || status < 200 || status > 299) return error_of(status);
  const json* data = member(envelope, "data");
  if (data == nullptr) return foreign("the answer has no data");
  Result<Instant> instant = instant_from(*data);
  const json* warnings = member(envelope, "warnings");
  const bool warned = warnings != nullptr && !warnings->is_null() && !(warnings->is_array() && warnings->empty());
  if (instant.ok() && warned) {
    const json& first = warnings->is_array() ? warnings->front() : *warnings;
    instant->warnings.push_back(first.is_string() ? excerpt(first.get_ref<const std::string&>()) : "a warning");
  }
  return instant;
}

Reading<double> reading_of(const Result<Instant>& instant, bool accept_warnings, TimePoint now) {
  if (!instant.ok()) return Missing{instant.error().what, now};
  if (!instant->warnings.empty() && !accept_warnings) {
    return Missing{"partial data: " + instant->warnings.front(), now};
  }
  if (std::isnan(instant->value)) return Missing{"the query gives NaN", now};
  if (std::isinf(instant->value)) return Missing{"the query gives infinity", now};
  if (instant->value < 0) return Missing{fmt::format("the query gives {:g}, which is no load", instant->value), now};
  return Sample<double>{instant->value, std::min(instant->at, now)};
}

std::string danger_in(std::string_view promql) {
  std::string plain;
  for (const char c : promql) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') plain += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  // Blanks are gone: "... or vector(0)" reads ")orvector(0)", and "or on() vector(0)" reads "oron()vector(0)".
  for (const char* start : {"orvector(", "oron()vector(", "orabsent("}) {
    if (plain.find(start) != std::string::npos) {
      return "`or vector(0)` makes a service without data look idle: remove it, a missing signal is handled";
    }
  }
  return {};
}

std::string form_encoded(const std::vector<std::pair<std::string, std::string>>& fields) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
  std::string form;
  const auto append = [&](const std::string& text) {
    for (const char c : text) {
      if (kPlain.find(c) != std::string_view::npos) {
        form += c;
      } else {
        form += fmt::format("%{:02X}", static_cast<unsigned char>(c));
      }
    }
  };
  for (const auto& [name, value] : fields) {
    if (!form.empty()) form += '&';
    append(name);
    form += '=';
    append(value);
  }
  return form;
}

}  // namespace ebb::prometheus
