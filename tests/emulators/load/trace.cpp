#include "tests/emulators/load/trace.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

namespace ebb::emulator {

namespace {

constexpr std::string_view kRates = "time_s,requests_per_s,prompt_tokens_per_request,output_tokens_per_request";
constexpr std::string_view kRequests = "TIMESTAMP,ContextTokens,GeneratedTokens";
constexpr std::size_t kBins = 100;

struct Row {
  double time = 0;
  double rate = 0;
  double prompt = 0;
  double output = 0;
};

std::optional<double> number_from(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

/// "2023-11-16 18:15:46.68" as seconds; only differences within the file are used, so each month may have 31 days.
std::optional<double> stamp_from(std::string_view text) {
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') return std::nullopt;
  const auto month = number_from(text.substr(5, 2));
  const auto day = number_from(text.substr(8, 2));
  const auto hour = number_from(text.substr(11, 2));
  const auto minute = number_from(text.substr(14, 2));
  const auto second = number_from(text.substr(17));
  if (!month || !day || !hour || !minute || !second) return std::nullopt;
  return (((*month * 31 + *day) * 24 + *hour) * 60 + *minute) * 60 + *second;
}

Result<Row> row_from(std::string_view line, bool requests, std::size_t number) {
  const auto bad = [number](const std::string& what) {
    return Error{ErrorCode::malformed, fmt::format("line {}: {}", number, what), false};
  };
  const auto fields = fields_of(line);
  if (fields.size() != (requests ? 3u : 4u)) return bad(fmt::format("{} columns", fields.size()));
  const auto time = requests ? stamp_from(fields[0]) : number_from(fields[0]);
  const auto rate = requests ? std::optional(1.0) : number_from(fields[1]);
  const auto prompt = number_from(fields[fields.size() - 2]);
  const auto output = number_from(fields[fields.size() - 1]);
  if (!time) return bad("the time is no number");
  if (!rate || *rate < 0) return bad("the rate is no number or negative");
  if (!prompt || !output || *prompt < 0 || *output < 0) return bad("a token count is no number or negative");
  Row row;
  row.time = *time;
  row.rate = *rate;
  row.prompt = *prompt;
  row.output = *output;
  return row;
}

Result<std::vector<Row>> rows_from(std::string_view text, bool requests) {
  std::vector<Row> rows;
  std::size_t number = 1;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    const auto row = row_from(line, requests, number);
    if (!row) return row.error();
    const bool back = !rows.empty() && (requests ? row->time < rows.back().time : row->time <= rows.back().time);
    if (back) return Error{ErrorCode::malformed, fmt::format("line {}: time goes back", number), false};
    rows.push_back(*row);
  }
  if (rows.size() < 2) return Error{ErrorCode::malformed, "a trace needs two rows", false};
  return rows;
}

/// Requests one by one become rates: each bin's count over its width, with the means of its lengths.
std::vector<Row> binned(const std::vector<Row>& requests) {
  const double first = requests.front().time;
  const double span = std::max(1e-9, requests.back().time - first);
  std::vector<Row> bins(kBins);
  for (const Row& request : requests) {
    const double position = (request.time - first) / span * static_cast<double>(kBins);
    Row& bin = bins[std::min(static_cast<std::size_t>(position), kBins - 1)];
    bin.rate += 1;
    bin.prompt += request.prompt;
    bin.output += request.output;
  }
  for (std::size_t i = 0; i < kBins; ++i) {
    bins[i].time = static_cast<double>(i);
    bins[i].prompt /= std::max(1.0, bins[i].rate);
    bins[i].output /= std::max(1.0, bins[i].rate);
  }
  return bins;
}

Result<Day> day_of(const std::vector<Row>& rows) {
  double peak = 0;
  double requests = 0;
  double prompt = 0;
  double output = 0;
  for (const Row& row : rows) {
    peak = std::max(peak, row.rate);
    requests += row.rate;
    prompt += row.rate * row.prompt;
    output += row.rate * row.output;
  }
  if (peak <= 0) return Error{ErrorCode::malformed, "no request in the whole trace", false};
  const double span = rows.back().time - rows.front().time;
  std::vector<DayPoint> points;
  for (const Row& row : rows) {
    DayPoint point;
    point.at = (row.time - rows.front().time) / span;
    point.rate = row.rate / peak;
    point.prompt_scale = prompt > 0 ? row.prompt * requests / prompt : 1;
    point.output_scale = output > 0 ? row.output * requests / output : 1;
    points.push_back(point);
  }
  return Day(std::move(points));
}

/// One between the times, with flanks of `ramp`.
double burst(double at, double from, double to, double ramp) {
  const double up = std::clamp((at - from) / ramp, 0.0, 1.0);
  const double down = std::clamp((to - at) / ramp, 0.0, 1.0);
  return std::min(up, down);
}

}  // namespace

Day::Day(std::vector<DayPoint> points) : points_(std::move(points)) {}

DayPoint Day::at(double fraction) const {
  const auto later = std::upper_bound(points_.begin(), points_.end(), fraction,
                                      [](double f, const DayPoint& point) { return f < point.at; });
  if (later == points_.begin()) return points_.front();
  if (later == points_.end()) return points_.back();
  const DayPoint& b = *later;
  const DayPoint& a = *std::prev(later);
  const double share = (fraction - a.at) / (b.at - a.at);
  const auto between = [share](double x, double y) { return x + share * (y - x); };
  DayPoint point;
  point.at = fraction;
  point.rate = between(a.rate, b.rate);
  point.prompt_scale = between(a.prompt_scale, b.prompt_scale);
  point.output_scale = between(a.output_scale, b.output_scale);
  return point;
}

double Day::peak() const {
  double peak = 0;
  for (const DayPoint& point : points_) peak = std::max(peak, point.rate);
  return peak;
}

Day built_in_day() {
  constexpr int kSteps = 1440;
  std::vector<DayPoint> points;
  double peak = 0;
  for (int i = 0; i <= kSteps; ++i) {
    DayPoint point;
    point.at = static_cast<double>(i) / kSteps;
    const auto hump = [&point](double centre, double width) {
      const double x = (point.at - centre) / width;
      return std::exp(-x * x / 2);
    };
    // Late morning, the larger evening, and a night of 8 %.
    point.rate = 0.08 + 0.70 * hump(0.34, 0.10) + 0.80 * hump(0.62, 0.10);
    point.rate += 0.18 * burst(point.at, 0.24, 0.27, 0.006) + 0.15 * burst(point.at, 0.47, 0.50, 0.006) +
                  0.12 * burst(point.at, 0.84, 0.86, 0.006);
    peak = std::max(peak, point.rate);
    points.push_back(point);
  }
  for (DayPoint& point : points) point.rate /= peak;
  return Day(std::move(points));
}

Result<Day> day_from_trace(std::string_view text) {
  const std::size_t end = text.find('\n');
  std::string_view header = text.substr(0, end);
  if (!header.empty() && header.back() == '\r') header.remove_suffix(1);
  const bool requests = header == kRequests;
  if (!requests && header != kRates) return Error{ErrorCode::malformed, "line 1: unknown columns", false};
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  const auto rows = rows_from(text, requests);
  if (!rows) return rows.error();
  return day_of(requests ? binned(*rows) : *rows);
}

}  // namespace ebb::emulator
