// What clients send, read strictly: unknown fields, wrong types and wrong ranges are refused by name. Internal to the
// API.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/model/time.hpp"

namespace ebb {

/// The fields of a JSON object. Every getter notes the field as known and its fault, if any; `finish` says them all.
/// A getter returns nothing for an absent field and for a faulty one.
class BodyFields {
 public:
  /// `invalid`: not JSON, not UTF-8, no object, nested, a field twice, a number no double can hold.
  static Result<BodyFields> parse(const std::string& text);

  /// Without control characters, which could forge lines in a log or move a terminal's cursor.
  std::optional<std::string> text(const std::string& name, std::size_t min_bytes, std::size_t max_bytes);
  std::optional<double> number(const std::string& name, double min, double max);
  std::optional<int> integer(const std::string& name, int min, int max);
  /// "90s", "1h30m"
  std::optional<Duration> span(const std::string& name, Duration min, Duration max);
  [[nodiscard]] bool has(const std::string& name) const { return object_.contains(name); }
  void require(const std::string& name);
  void fault(const std::string& what) { faults_.push_back(what); }

  /// Every fault in one sentence each, also for fields nobody asked for.
  [[nodiscard]] Status finish() const;

 private:
  const nlohmann::json* find(const std::string& name);

  nlohmann::json object_;
  std::set<std::string> known_;
  std::vector<std::string> faults_;
};

/// The same for the parameters of a query.
class QueryFields {
 public:
  explicit QueryFields(std::map<std::string, std::string> query) : query_(std::move(query)) {}

  std::optional<std::string> text(const std::string& name);
  std::optional<std::uint64_t> count(const std::string& name, std::uint64_t min, std::uint64_t max);
  std::optional<TimePoint> time(const std::string& name);
  /// "1" or "true", "0" or "false"; absent is false.
  bool flag(const std::string& name);
  void fault(const std::string& what) { faults_.push_back(what); }
  [[nodiscard]] Status finish() const;

 private:
  std::map<std::string, std::string> query_;
  std::set<std::string> known_;
  std::vector<std::string> faults_;
};

}  // namespace ebb
