#include "daemon/api/fields.hpp"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cmath>
#include <stdexcept>

namespace ebb {
namespace {

using nlohmann::json;

Error invalid(std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; }

Status joined(const std::vector<std::string>& faults) {
  if (faults.empty()) return Done();
  std::string all;
  for (const std::string& fault : faults) all += (all.empty() ? "" : "; ") + fault;
  return invalid(all);
}

/// Names in a message are quoted and cut: they come from whoever asks.
std::string quoted(const std::string& name) { return "'" + name.substr(0, 64) + "'"; }

/// Refuses while parsing, before anything large has been built. Bodies are flat: depth 1 is the object itself.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Watch {
 public:
  bool operator()(int depth, json::parse_event_t event, json& value) {
    const bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth >= 1) throw Refused("a field holds an object or a list; all fields are plain values");
    if (event == json::parse_event_t::key && !seen_.insert(value.get<std::string>()).second) {
      throw Refused(quoted(value.get<std::string>()) + " is given twice");
    }
    return true;
  }

 private:
  std::set<std::string> seen_;
};

}  // namespace

Result<BodyFields> BodyFields::parse(const std::string& text) {
  BodyFields fields;
  try {
    fields.object_ = json::parse(text, Watch());
  } catch (const Refused& refused) {
    return invalid(refused.what());
  } catch (const json::parse_error& error) {
    return invalid(fmt::format("the body is not JSON in UTF-8: wrong at byte {}", error.byte));
  } catch (const json::exception&) {
    return invalid("the body holds a number that is too large");
  }
  if (!fields.object_.is_object()) return invalid("the body must be a JSON object");
  return fields;
}

const json* BodyFields::find(const std::string& name) {
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() ? nullptr : &*found;
}

void BodyFields::require(const std::string& name) {
  if (find(name) == nullptr) fault(quoted(name) + " is missing");
}

std::optional<std::string> BodyFields::text(const std::string& name, std::size_t min_bytes, std::size_t max_bytes) {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return fault(quoted(name) + " must be a string"), std::nullopt;
  auto content = value->get<std::string>();
  if (content.size() < min_bytes || content.size() > max_bytes) {
    fault(fmt::format("{} must have {} to {} bytes", quoted(name), min_bytes, max_bytes));
    return std::nullopt;
  }
  for (const char c : content) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) continue;
    fault(quoted(name) + " must not contain control characters");
    return std::nullopt;
  }
  return content;
}

std::optional<double> BodyFields::number(const std::string& name, double min, double max) {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : std::nan("");
  if (!std::isfinite(number) || number < min || number > max) {
    fault(fmt::format("{} must be a number from {} to {}", quoted(name), min, max));
    return std::nullopt;
  }
  return number;
}

std::optional<int> BodyFields::integer(const std::string& name, int min, int max) {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  // Compared as a double, which holds every value that may pass: get<int>() of 2^32 + 1 would be 1.
  const double number = value->is_number_integer() ? value->get<double>() : std::nan("");
  if (!(number >= min && number <= max)) {
    fault(fmt::format("{} must be a whole number from {} to {}", quoted(name), min, max));
    return std::nullopt;
  }
  return static_cast<int>(number);
}

std::optional<Duration> BodyFields::span(const std::string& name, Duration min, Duration max) {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto span = value->is_string() ? duration_from(value->get<std::string>()) : std::nullopt;
  if (!span || *span < min || *span > max) {
    fault(fmt::format("{} must be a duration like \"90s\" or \"2h\", from {} to {}", quoted(name), to_text(min),
                      to_text(max)));
    return std::nullopt;
  }
  return span;
}

Status BodyFields::finish() const {
  std::vector<std::string> faults = faults_;
  for (const auto& [name, value] : object_.items()) {
    if (!known_.contains(name)) faults.push_back(quoted(name) + " is not a field of this request");
  }
  return joined(faults);
}

std::optional<std::string> QueryFields::text(const std::string& name) {
  known_.insert(name);
  const auto found = query_.find(name);
  if (found == query_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::uint64_t> QueryFields::count(const std::string& name, std::uint64_t min, std::uint64_t max) {
  const auto content = text(name);
  if (!content) return std::nullopt;
  std::uint64_t number = 0;
  const char* last = content->data() + content->size();
  const auto [end, error] = std::from_chars(content->data(), last, number);
  if (error != std::errc{} || end != last || number < min || number > max) {
    fault(fmt::format("{} must be a whole number from {} to {}", quoted(name), min, max));
    return std::nullopt;
  }
  return number;
}

std::optional<TimePoint> QueryFields::time(const std::string& name) {
  const auto content = text(name);
  if (!content) return std::nullopt;
  const auto at = from_iso(*content);
  if (!at) fault(quoted(name) + " must be a time in UTC like 2026-03-01T14:03:20Z");
  return at;
}

bool QueryFields::flag(const std::string& name) {
  const auto content = text(name);
  if (!content || *content == "0" || *content == "false") return false;
  if (*content != "1" && *content != "true") fault(quoted(name) + " must be 0 or 1");
  return true;
}

Status QueryFields::finish() const {
  std::vector<std::string> faults = faults_;
  for (const auto& [name, value] : query_) {
    if (!known_.contains(name)) faults.push_back(quoted(name) + " is not a parameter of this request");
  }
  return joined(faults);
}

}  // namespace ebb
