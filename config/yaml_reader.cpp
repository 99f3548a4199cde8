#include "config/yaml_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "config/option_paths.hpp"
#include "config/text.hpp"
#include "config/time_zone.hpp"

namespace ebb {
namespace {

/// yaml-cpp marks quoted and block scalars with "!", plain ones with "?".
bool is_quoted(const YAML::Node& node) { return node.Tag() == "!"; }

bool has_tag(const YAML::Node& node) {
  const std::string& tag = node.Tag();
  return !tag.empty() && tag != "?" && tag != "!";
}

const char* kind_of(const YAML::Node& node) {
  return node.IsMap() ? "a mapping" : node.IsSequence() ? "a list" : "nothing";
}

std::size_t digits_in(std::string_view text) {
  const auto other = std::find_if(text.begin(), text.end(), [](char c) { return c < '0' || c > '9'; });
  return static_cast<std::size_t>(other - text.begin());
}

bool has_leading_zero(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return text.size() > 1 && text.front() == '0' && digits_in(text) > 1;
}

/// A decimal integer as people write it.
bool is_integer(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && digits_in(text) == text.size();
}

std::optional<double> finite_number(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

/// Line breaks and tabs may stand in a command's argument; a NUL would cut it, an escape would write on terminals.
bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\n' && c != '\t') || u == 0x7F;
  });
}

std::string listed(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) out += (out.empty() ? "" : ", ") + std::string(name);
  return out;
}

// Looking for what was meant costs time; a file with more problems than this is not a configuration.
constexpr std::size_t kHintsUpTo = 100;
constexpr const char* kLeadingZero = ": without leading zeros, which some read as octal";

}  // namespace

Place place_of(const YAML::Node& node) {
  const YAML::Mark mark = node.Mark();
  return {mark.line + 1, mark.column + 1};
}

YamlReader::YamlReader(const YAML::Node& node, std::string path, Report& report)
    : node_(node), path_(std::move(path)), report_(report) {
  if (!node.IsMap()) return;
  for (const auto& pair : node) {
    if (!pair.first.IsScalar()) {
      report_.add(place_of(pair.first), "a key must be a word, got " + std::string(kind_of(pair.first)));
      continue;
    }
    const std::string key = pair.first.Scalar();
    if (key == "<<") report_.add(place_of(pair.first), "merge keys (<<) are not supported: write the options out");
    const auto [entry, fresh] = entries_.emplace(key, Entry{place_of(pair.first), pair.second, key == "<<"});
    if (!fresh) {
      report_.add(place_of(pair.first), "duplicate key " + in_quotes(key) + ": it stands at line " +
                                            std::to_string(entry->second.place.line) + " already");
    }
  }
}

std::string YamlReader::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

const YAML::Node* YamlReader::find(const OptionInfo& info) {
  known_.emplace_back(info.name);
  const auto entry = entries_.find(std::string(info.name));
  const std::string name = "'" + std::string(info.name) + "'";
  if (entry == entries_.end()) {
    if (info.required) {
      report_.broken(path_of(info.name), place_of(node_), name + " is missing: " + std::string(info.help));
    }
    return nullptr;
  }
  entry->second.used = true;
  report_.stands(path_of(info.name), entry->second.place);
  const YAML::Node& node = entry->second.value;
  if (has_tag(node)) {
    wrong(node, info, "has the tag " + in_quotes(node.Tag()) + ", which is not supported: write the plain value");
    return nullptr;
  }
  if (node.IsNull()) {
    report_.broken(path_of(info.name), entry->second.place, name + " has no value");
    return nullptr;
  }
  return &node;
}

void YamlReader::wrong(const YAML::Node& node, const OptionInfo& info, const std::string& what) {
  report_.broken(path_of(info.name), place_of(node), "'" + std::string(info.name) + "' " + what);
}

const YAML::Node* YamlReader::find_scalar(const OptionInfo& info, std::string_view wanted) {
  const YAML::Node* node = find(info);
  if (node == nullptr || node->IsScalar()) return node;
  wrong(*node, info, "must be " + std::string(wanted) + ", got " + kind_of(*node));
  return nullptr;
}

const YAML::Node* YamlReader::find_number(const OptionInfo& info, std::string_view wanted) {
  const YAML::Node* node = find_scalar(info, wanted);
  if (node == nullptr || !is_quoted(*node)) return node;
  wrong(*node, info, "must be a number, got the text " + in_quotes(node->Scalar()) + ": remove the quotes");
  return nullptr;
}

bool YamlReader::is_text(const YAML::Node& node, const OptionInfo& info) {
  if (has_tag(node)) {
    wrong(node, info, "has the tag " + in_quotes(node.Tag()) + ", which is not supported: write the plain value");
  } else if (node.IsMap() && node.size() == 1 && node.begin()->first.IsScalar() && node.begin()->second.IsNull()) {
    // {port} without quotes is a mapping in YAML.
    wrong(node, info, "must hold text, got a mapping: braces need quotes, as in \"{port}\"");
  } else if (!node.IsScalar()) {
    wrong(
        node, info,
        "must hold text, got " + std::string(kind_of(node)) + (node.IsNull() ? ": write \"\" for an empty text" : ""));
  } else if (has_control_character(node.Scalar())) {
    wrong(node, info, "must not hold control characters");
  } else {
    return true;
  }
  return false;
}

bool YamlReader::afford(const YAML::Node& node, const OptionInfo& info) {
  if (report_.afford(node.size())) return true;
  wrong(node, info, "brings the file above 50000 elements (an alias counts each time)");
  return false;
}

void YamlReader::value(const OptionInfo& info, bool& v) {
  const YAML::Node* node = find_scalar(info, "true or false");
  if (node == nullptr) return;
  const std::string text = node->Scalar();
  // yaml-cpp takes yes, on and y for true; a country code or a flag's name is no consent.
  if (is_quoted(*node) || (text != "true" && text != "false")) {
    return wrong(*node, info, "must be true or false, got " + in_quotes(text));
  }
  v = text == "true";
}

void YamlReader::value(const OptionInfo& info, int& v, Range<int> range) {
  const YAML::Node* node = find_number(info, "a whole number");
  if (node == nullptr) return;
  const std::string text = node->Scalar();
  if (!is_integer(text) || has_leading_zero(text)) {
    return wrong(*node, info,
                 "must be a whole number" + std::string(has_leading_zero(text) ? kLeadingZero : "") + ", got " +
                     in_quotes(text));
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < range.min || number > range.max) {
    return wrong(*node, info,
                 "must be between " + std::to_string(range.min) + " and " + std::to_string(range.max) + ", got " +
                     in_quotes(text));
  }
  v = static_cast<int>(number);
}

void YamlReader::value(const OptionInfo& info, double& v, Range<double> range) {
  const YAML::Node* node = find_number(info, "a number");
  if (node == nullptr) return;
  const std::string text = node->Scalar();
  const std::optional<double> number = finite_number(text);
  if (!number || has_leading_zero(text)) {
    return wrong(*node, info,
                 "must be a finite number" + std::string(has_leading_zero(text) ? kLeadingZero : "") + ", got " +
                     in_quotes(text));
  }
  if (*number < range.min || *number > range.max) {
    return wrong(*node, info,
                 "must be between " + shown(range.min) + " and " + shown(range.max) + ", got " + in_quotes(text));
  }
  v = *number;
}

void YamlReader::value(const OptionInfo& info, Duration& v, Range<Duration> range) {
  const YAML::Node* node = find_scalar(info, "a duration such as 90s");
  if (node == nullptr) return;
  const std::string text = node->Scalar();
  const auto span = duration_from(text);
  if (!span) {
    const bool bare = finite_number(text).value_or(-1) >= 0;
    return wrong(*node, info,
                 bare ? "needs a unit: write " + text + "s for seconds (ms, s, m, h, d)"
                      : "must be a duration such as 90s, 1m30s or 250ms, got " + in_quotes(text));
  }
  if (*span < range.min || *span > range.max) {
    return wrong(*node, info,
                 "must be between " + to_text(range.min) + " and " + to_text(range.max) + ", got " + in_quotes(text));
  }
  v = *span;
}

void YamlReader::value(const OptionInfo& info, std::string& v) {
  const YAML::Node* node = find_scalar(info, "text");
  if (node == nullptr || !is_text(*node, info)) return;
  if (info.required && node->Scalar().empty())
    return wrong(*node, info, "must not be empty: " + std::string(info.help));
  v = node->Scalar();
}

void YamlReader::value(const OptionInfo& info, std::vector<std::string>& v) {
  const YAML::Node* node = find(info);
  if (node == nullptr) return;
  if (!node->IsSequence()) return wrong(*node, info, "must be a list");
  if (!afford(*node, info)) return;
  v.clear();
  for (const YAML::Node& item : *node) {
    if (is_text(item, info)) v.push_back(item.Scalar());
  }
}

void YamlReader::value(const OptionInfo& info, std::map<std::string, std::string>& v) {
  const YAML::Node* node = find(info);
  if (node == nullptr) return;
  if (!node->IsMap()) return wrong(*node, info, "must be a mapping from names to text");
  if (!afford(*node, info)) return;
  v.clear();
  for (const auto& pair : *node) {
    if (!is_text(pair.first, info)) continue;
    const std::string name = pair.first.Scalar();
    if (name == "<<") {
      wrong(pair.first, info, "holds a merge key (<<), which is not supported: write the entries out");
      continue;
    }
    if (!is_text(pair.second, info)) continue;
    report_.stands(path_of(info.name) + "." + name, place_of(pair.first));
    if (!v.emplace(name, pair.second.Scalar()).second)
      wrong(pair.first, info, "holds the key " + in_quotes(name) + " twice");
  }
}

void YamlReader::choice(const OptionInfo& info, int& index, std::span<const std::string_view> names) {
  const YAML::Node* node = find_scalar(info, "one of " + listed(names));
  if (node == nullptr) return;
  const std::string text = node->Scalar();
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return wrong(*node, info, "must be one of " + listed(names) + ", got " + in_quotes(text));
  index = static_cast<int>(found - names.begin());
}

void YamlReader::object(const OptionInfo& info, const std::function<void(OptionVisitor&)>& fields) {
  const YAML::Node* node = find(info);
  if (node == nullptr) return;
  if (!node->IsMap()) return wrong(*node, info, "must be a mapping");
  YamlReader inner(*node, path_of(info.name), report_);
  fields(inner);
  inner.finish();
}

void YamlReader::list(const OptionInfo& info, std::size_t, const std::function<void(std::size_t)>& resize,
                      const std::function<void(std::size_t, OptionVisitor&)>& element) {
  const YAML::Node* node = find(info);
  if (node == nullptr) return;
  if (!node->IsSequence()) return wrong(*node, info, "must be a list");
  if (!afford(*node, info)) return;
  resize(0);
  resize(node->size());
  for (std::size_t i = 0; i < node->size(); ++i) {
    const YAML::Node item = (*node)[i];
    const std::string path = path_of(info.name) + "[" + std::to_string(i) + "]";
    report_.stands(path, place_of(item));
    if (!item.IsMap() || has_tag(item)) {
      report_.broken(path, place_of(item), "an element of '" + std::string(info.name) + "' must be a plain mapping");
      continue;
    }
    YamlReader inner(item, path, report_);
    element(i, inner);
    inner.finish();
  }
}

void YamlReader::selected(const OptionInfo& info, const std::string& name, std::span<const std::string_view> names,
                          const std::function<bool(const std::string&)>& select,
                          const std::function<void(OptionVisitor&)>& fields) {
  const YAML::Node* node = find(info);
  if (node == nullptr) return;
  if (node->IsScalar()) return wrong(*node, info, "must be a mapping: write {policy: " + name + "}");
  if (!node->IsMap()) return wrong(*node, info, "must be a mapping with the key 'policy'");
  YamlReader inner(*node, path_of(info.name), report_);
  inner.choose(name, names, select, fields, "");
  inner.finish();
}

void YamlReader::selection(const std::string& name, std::span<const std::string_view> names,
                           const std::function<bool(const std::string&)>& select,
                           const std::function<void(OptionVisitor&)>& fields) {
  choose(name, names, select, fields, " here");
}

void YamlReader::choose(const std::string& name, std::span<const std::string_view> names,
                        const std::function<bool(const std::string&)>& select,
                        const std::function<void(OptionVisitor&)>& fields, const std::string& where) {
  std::string chosen = name;
  value({"policy", "Name of the policy."}, chosen);
  if (select(chosen)) return fields(*this);
  given_up_ = true;
  const std::string meant = did_you_mean(chosen, {names.begin(), names.end()});
  report_.broken(
      path_, report_.place_of(path_of("policy")),
      "there is no policy " + in_quotes(chosen) + where + (meant.empty() ? "; there are: " + listed(names) : meant));
}

void YamlReader::value(const OptionInfo& info, TimeZone& v) {
  value(info, v.name);
  const YAML::Node* node = find(info);
  if (node == nullptr || !report_.sound({path_of(info.name)})) return;
  Result<TimeZone> zone = load_time_zone(v.name);
  if (zone) {
    v = std::move(zone).value();
    return;
  }
  const bool hint = zone.error().code == ErrorCode::invalid && report_.count() < kHintsUpTo;
  wrong(*node, info, zone.error().what + (hint ? zone_hint(v.name) : ""));
}

void YamlReader::finish() {
  if (given_up_) return;
  for (const auto& [key, entry] : entries_) {
    if (entry.used) continue;
    std::string hint;
    if (report_.count() < kHintsUpTo) hint = did_you_mean(key, known_);
    if (report_.count() < kHintsUpTo && hint.empty()) hint = belongs_elsewhere(key);
    report_.add(entry.place, "unknown key " + in_quotes(key) + hint);
  }
}

}  // namespace ebb
