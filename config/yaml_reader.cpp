#include "config/yaml_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace ebb {
namespace {

bool is_quoted(const YAML::Node& node) { return node.Tag() == "!"; }

std::string shown(double value) {
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), end};
}

/// A decimal integer as people write it. "010" would be eight elsewhere, so it is refused.
bool plain_integer(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? diagonal : 1 + std::min({diagonal, row[j], row[j - 1]});
      diagonal = std::exchange(row[j], cost);
    }
  }
  return row[b.size()];
}

std::string listed(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) out += (out.empty() ? "" : ", ") + std::string(name);
  return out;
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t d = distance(word.substr(0, 64), candidate);
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

Place place_of(const YAML::Node& node) {
  const YAML::Mark mark = node.Mark();
  return {mark.line + 1, mark.column + 1};
}

void Report::add(Place place, std::string message) {
  problems.push_back({file, place.line, place.column, std::move(message)});
}

void Report::add(const std::string& path, std::string message) {
  for (std::string around = path;; around.resize(around.find_last_of(".["))) {
    if (const auto found = places.find(around); found != places.end()) return add(found->second, std::move(message));
    if (around.find_last_of(".[") == std::string::npos) break;
  }
  add(Place{1, 1}, std::move(message));
}

YamlReader::YamlReader(const YAML::Node& node, std::string path, Report& report)
    : node_(node), path_(std::move(path)), report_(report) {
  if (!node.IsMap()) return;
  for (const auto& pair : node) {
    if (!pair.first.IsScalar()) {
      report_.add(place_of(pair.first), "a key must be a word");
      continue;
    }
    const std::string key = pair.first.Scalar();
    if (key == "<<") report_.add(place_of(pair.first), "merge keys (<<) are not supported: write the options out");
    const auto [entry, fresh] = entries_.emplace(key, Entry{place_of(pair.first), pair.second, key == "<<"});
    if (!fresh) {
      report_.add(place_of(pair.first), "duplicate key '" + key + "': it stands at line " +
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
  if (entry == entries_.end()) {
    if (info.required)
      report_.add(place_of(node_), "'" + std::string(info.name) + "' is missing: " + std::string(info.help));
    return nullptr;
  }
  entry->second.used = true;
  report_.places[path_of(info.name)] = entry->second.place;
  if (entry->second.value.IsNull()) {
    report_.add(entry->second.place, "'" + std::string(info.name) + "' has no value");
    return nullptr;
  }
  return &entry->second.value;
}

void YamlReader::wrong(const YAML::Node& node, const OptionInfo& info, const std::string& what) {
  report_.add(place_of(node), "'" + std::string(info.name) + "' " + what);
}

bool YamlReader::scalar(const YAML::Node& node, std::string_view wanted) {
  if (node.IsScalar()) return true;
  report_.add(place_of(node), "expected " + std::string(wanted) + ", got a " + (node.IsMap() ? "mapping" : "list"));
  return false;
}

void YamlReader::value(const OptionInfo& info, bool& v) {
  const YAML::Node* node = find(info);
  if (node == nullptr || !scalar(*node, "true or false")) return;
  const std::string text = node->Scalar();
  if (is_quoted(*node) || (text != "true" && text != "false"))
    return wrong(*node, info, "must be true or false, got '" + text + "'");
  v = text == "true";
}

void YamlReader::value(const OptionInfo& info, int& v, Range<int> range) {
  const YAML::Node* node = find(info);
  if (node == nullptr || !scalar(*node, "a whole number")) return;
  const std::string text = node->Scalar();
  if (is_quoted(*node)) return wrong(*node, info, "must be a number, got the text \"" + text + "\": remove the quotes");
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!plain_integer(text) || error != std::errc{} || end != text.data() + text.size()) {
    return wrong(*node, info, "must be a whole number, got '" + text + "'");
  }
  if (number < range.min || number > range.max) {
    return wrong(
        *node, info,
        "must be between " + std::to_string(range.min) + " and " + std::to_string(range.max) + ", got " + text);
  }
  v = static_cast<int>(number);
}

void YamlReader::value(const OptionInfo& info, double& v, Range<double> range) {
  const YAML::Node* node = find(info);
  if (node == nullptr || !scalar(*node, "a number")) return;
  const std::string text = node->Scalar();
  if (is_quoted(*node)) return wrong(*node, info, "must be a number, got the text \"" + text + "\": remove the quotes");
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) {
    return wrong(*node, info, "must be a finite number, got '" + text + "'");
  }
  if (number < range.min || number > range.max) {
    return wrong(*node, info, "must be between " + shown(range.min) + " and " + shown(range.max) + ", got " + text);
  }
  v = number;
}

void YamlReader::value(const OptionInfo& info, Duration& v, Range<Duration> range) {
  const YAML::Node* node = find(info);
  if (node == nullptr || !scalar(*node, "a duration such as 90s")) return;
  const std::string text = node->Scalar();
  const auto span = duration_from(text);
  if (!span) {
    const bool bare = plain_integer(text);
    return wrong(*node, info,
                 bare ? "needs a unit: write " + text + "s for seconds (ms, s, m, h, d)"
                      : "must be a duration such as 90s, 1m30s or 250ms, got '" + text + "'");
  }
  if (*span < range.min || *span > range.max) {
    return wrong(*node, info, "must be between " + to_text(range.min) + " and " + to_text(range.max) + ", got " + text);
  }
  v = *span;
}

void YamlReader::value(const OptionInfo& info, std::string& v) {
  const YAML::Node* node = find(info);
  if (node == nullptr || !scalar(*node, "text")) return;
  v = node->Scalar();
}

void YamlReader::value(const OptionInfo& info, std::vector<std::string>& v) {
  const YAML::Node* node = find(info);
  if (node == nullptr) return;
  if (!node->IsSequence()) return wrong(*node, info, "must be a list");
  v.clear();
  for (const YAML::Node& item : *node) {
    if (scalar(item, "text")) v.push_back(item.Scalar());
  }
}

void YamlReader::value(const OptionInfo& info, std::map<std::string, std::string>& v) {
  const YAML::Node* node = find(info);
  if (node == nullptr) return;
  if (!node->IsMap()) return wrong(*node, info, "must be a mapping from names to text");
  v.clear();
  for (const auto& pair : *node) {
    if (!scalar(pair.first, "a name") || !scalar(pair.second, "text")) continue;
    report_.places[path_of(info.name) + "." + pair.first.Scalar()] = place_of(pair.first);
    if (!v.emplace(pair.first.Scalar(), pair.second.Scalar()).second) {
      report_.add(place_of(pair.first), "duplicate key '" + pair.first.Scalar() + "'");
    }
  }
}

void YamlReader::choice(const OptionInfo& info, int& index, std::span<const std::string_view> names) {
  const YAML::Node* node = find(info);
  if (node == nullptr || !scalar(*node, "one of " + listed(names))) return;
  const std::string text = node->Scalar();
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return wrong(*node, info, "must be one of " + listed(names) + ", got '" + text + "'");
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
  constexpr std::size_t kMostElements = 100'000;
  if (node->size() > kMostElements) return wrong(*node, info, "has more than 100000 elements");
  resize(0);
  resize(node->size());
  for (std::size_t i = 0; i < node->size(); ++i) {
    const YAML::Node item = (*node)[i];
    const std::string path = path_of(info.name) + "[" + std::to_string(i) + "]";
    report_.places[path] = place_of(item);
    if (!item.IsMap()) {
      report_.add(place_of(item), "an element of '" + std::string(info.name) + "' must be a mapping");
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
  if (!node->IsMap()) return wrong(*node, info, "must be a mapping with the key 'policy'");
  YamlReader inner(*node, path_of(info.name), report_);
  std::string chosen = name;
  const OptionInfo policy{"policy", "Name of the policy."};
  inner.value(policy, chosen);
  if (!select(chosen)) {
    const std::vector<std::string> known(names.begin(), names.end());
    const std::string meant = nearest(chosen, known);
    report_.add(path_of(info.name) + ".policy",
                "there is no policy '" + chosen + "'" +
                    (meant.empty() ? "; there are " + listed(names) : "; did you mean '" + meant + "'?"));
    return;
  }
  fields(inner);
  inner.finish();
}

void YamlReader::finish() {
  for (const auto& [key, entry] : entries_) {
    if (entry.used) continue;
    const std::string meant = nearest(key, known_);
    report_.add(entry.place, "unknown key '" + key + "'" + (meant.empty() ? "" : "; did you mean '" + meant + "'?"));
  }
}

}  // namespace ebb
