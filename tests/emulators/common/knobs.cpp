#include "tests/emulators/common/knobs.hpp"

#include <algorithm>

namespace ebb::emulator {

using nlohmann::json;

namespace {

bool same_type(const json& known, const json& given) {
  if (known.is_number()) return given.is_number();
  if (!known.is_array()) return known.type() == given.type();
  return given.is_array() && std::all_of(given.begin(), given.end(), [](const json& one) { return one.is_string(); });
}

}  // namespace

Status Knobs::set(const json& changes) {
  if (!changes.is_object()) return Error{ErrorCode::invalid, "knobs are an object of names and values", false};
  for (const auto& [name, value] : changes.items()) {
    if (!values_.contains(name)) return Error{ErrorCode::invalid, "no knob '" + name + "'", false};
    if (!same_type(values_[name], value)) {
      return Error{ErrorCode::invalid, "knob '" + name + "' takes a value such as " + values_[name].dump(), false};
    }
  }
  values_.update(changes);
  return Done();
}

Status Knobs::assign(std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) return Error{ErrorCode::invalid, "a knob is name=value", false};
  const std::string text(assignment.substr(equals + 1));
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) value = text;
  json changes;
  changes[std::string(assignment.substr(0, equals))] = std::move(value);
  return set(changes);
}

bool Knobs::lists(const char* name, const std::string& text) const {
  const json& list = values_.at(name);
  return std::find(list.begin(), list.end(), json(text)) != list.end();
}

std::optional<std::string> Knobs::take(const char* name) {
  json& list = values_.at(name);
  if (list.empty()) return std::nullopt;
  std::string first = list.front().get<std::string>();
  list.erase(list.begin());
  return first;
}

bool Knobs::use_one(const char* name) {
  if (count(name) <= 0) return false;
  values_.at(name) = count(name) - 1;
  return true;
}

}  // namespace ebb::emulator
