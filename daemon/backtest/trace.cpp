#include "daemon/backtest/trace.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "daemon/backtest/random.hpp"

namespace ebb::backtest {
namespace {

constexpr std::uintmax_t kMostBytes = 256u << 20;
constexpr double kMostSeconds = 400 * 86'400.0;
constexpr std::string_view kRates = "time_s,requests_per_s,prompt_tokens_per_request,output_tokens_per_request";
constexpr std::string_view kRequests = "TIMESTAMP,ContextTokens,GeneratedTokens";

Error bad(const std::string& path, std::size_t line, const std::string& what) {
  return {ErrorCode::invalid, fmt::format("{}:{}: {}", path, line, what), false};
}

constexpr double kMostNumber = 1e12;  // products of three of them are finite

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= kMostNumber)) return {};
  return value;
}

template <std::size_t N>
bool split(std::string_view line, std::array<std::string_view, N>& fields) {
  for (std::size_t i = 0; i < N; ++i) {
    const std::size_t comma = line.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == N)) return false;
    fields[i] = line.substr(0, comma);
    line.remove_prefix(comma == std::string_view::npos ? line.size() : comma + 1);
  }
  return true;
}

/// "2023-11-16 18:15:46.6805900" as seconds since 1970.
std::optional<double> timestamp(std::string_view text) {
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[10] != ' ' || text[13] != ':' || text[16] != ':') {
    return {};
  }
  const auto year = number(text.substr(0, 4)), month = number(text.substr(5, 2)), day = number(text.substr(8, 2));
  const auto hour = number(text.substr(11, 2)), minute = number(text.substr(14, 2)), second = number(text.substr(17));
  if (!year || !month || !day || !hour || !minute || !second) return {};
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second >= 61) return {};
  const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
  return static_cast<double>(days) * 86'400 + *hour * 3'600 + *minute * 60 + *second;
}

/// One data line; an error is what is wrong with it.
std::optional<std::string> take_rates(Trace& trace, std::string_view line) {
  std::array<std::string_view, 4> fields;
  if (!split(line, fields)) return "four numbers are wanted, separated by commas";
  std::array<double, 4> values{};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto value = number(fields[i]);
    if (!value) return fmt::format("'{}' is no number from 0 to 1e12", fields[i].substr(0, 40));
    values[i] = *value;
  }
  if (!trace.rows.empty() && values[0] <= trace.rows.back().time_s) return "time_s does not ascend";
  trace.rows.push_back({values[0], values[1], values[2], values[3]});
  return {};
}

std::optional<std::string> take_request(Trace& trace, std::string_view line) {
  std::array<std::string_view, 3> fields;
  if (!split(line, fields)) return "a time and two numbers are wanted, separated by commas";
  const auto at = timestamp(fields[0]);
  if (!at) return fmt::format("'{}' is no time like 2023-11-16 18:15:46.68", fields[0].substr(0, 40));
  const auto prompt = number(fields[1]), output = number(fields[2]);
  if (!prompt || !output) return "token counts must be numbers from 0 to 1e12";
  if (!trace.requests.empty() && *at < trace.requests.back().time_s) return "TIMESTAMP goes back";
  trace.requests.push_back({*at, *prompt, *output});
  return {};
}

/// Times begin at 0.
Trace from_zero(Trace trace) {
  const double first = trace.rows.empty() ? trace.requests.front().time_s : trace.rows.front().time_s;
  for (TraceRow& row : trace.rows) row.time_s -= first;
  for (TraceRequest& request : trace.requests) request.time_s -= first;
  return trace;
}

}  // namespace

double Trace::seconds() const {
  if (!rows.empty()) return rows.back().time_s;
  return requests.empty() ? 0 : requests.back().time_s;
}

Result<Trace> load_trace(const std::string& path) {
  std::error_code failure;
  const auto bytes = std::filesystem::file_size(path, failure);
  if (failure) return Error{ErrorCode::not_found, path + ": " + failure.message(), false};
  if (bytes > kMostBytes) return Error{ErrorCode::invalid, path + ": the file is larger than 256 MiB", false};
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorCode::not_found, path + ": " + std::strerror(errno), false};
  Trace trace;
  trace.name = std::filesystem::path(path).stem().string();
  std::string line;
  std::size_t count = 0;
  bool rates = true;
  while (std::getline(in, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (++count == 1) {
      rates = line == kRates;
      if (!rates && line != kRequests) {
        return bad(path, 1, fmt::format("the first line must be '{}' or '{}'", kRates, kRequests));
      }
      continue;
    }
    if (line.empty()) continue;
    if (const auto wrong = rates ? take_rates(trace, line) : take_request(trace, line)) return bad(path, count, *wrong);
  }
  if (trace.rows.size() + trace.requests.size() < 2) return bad(path, count, "at least two rows are needed");
  trace = from_zero(std::move(trace));
  if (trace.seconds() <= 0) return bad(path, count, "every row has the same time");
  if (trace.seconds() > kMostSeconds) return bad(path, count, "the trace is longer than 400 days");
  return trace;
}

Trace synthetic_week(int seed) {
  constexpr int kMinutes = 7 * 24 * 60;
  Random random(static_cast<std::uint64_t>(seed));
  Trace trace;
  trace.name = "synthetic-week";
  double wander = 0, burst = 0;
  for (int minute = 0; minute <= kMinutes; ++minute) {
    const double hour = minute / 60.0 - 24 * std::floor(minute / 1'440.0);
    const bool weekend = minute / 1'440 >= 5;
    const auto hump = [&](double at, double width) { return std::exp(-std::pow((hour - at) / width, 2)); };
    const double day =
        0.18 + (weekend ? 0.35 : 1.0) * (0.62 * hump(10.5, 2.6) + 0.7 * hump(15.5, 3.2)) + 0.22 * hump(21, 2.0);
    wander += -wander / 30 + 0.012 * random.normal();
    // Twice a day on average somebody sends half as much again for a quarter of an hour.
    if (random.uniform() < 2.0 / 1'440) burst = 0.5;
    burst *= 0.93;
    trace.rows.push_back({minute * 60.0, 40 * day * std::exp(wander) * (1 + burst), 900, 250});
  }
  return trace;
}

}  // namespace ebb::backtest
