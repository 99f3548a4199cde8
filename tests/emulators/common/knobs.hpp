// How a stand-in behaves where the real one is not documented, and how it misbehaves: named values that a test or an
// operator turns, at start (--knob name=value) or later (POST /_knob).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

class Knobs {
 public:
  /// Every knob with its default; a knob keeps the type of its default.
  explicit Knobs(nlohmann::json defaults) : values_(std::move(defaults)) {}

  /// All or nothing. Errors are `invalid`: an unknown name, or another type than the default's.
  Status set(const nlohmann::json& changes);
  /// "name=value"; the value is JSON, or text as it stands.
  Status assign(std::string_view assignment);

  [[nodiscard]] double number(const char* name) const { return values_.at(name).get<double>(); }
  [[nodiscard]] int count(const char* name) const { return static_cast<int>(number(name)); }
  [[nodiscard]] bool flag(const char* name) const { return values_.at(name).get<bool>(); }
  [[nodiscard]] std::string text(const char* name) const { return values_.at(name).get<std::string>(); }
  /// Whether a list of texts holds this one.
  [[nodiscard]] bool lists(const char* name, const std::string& text) const;
  /// Takes the first of a list of texts, for what happens once.
  std::optional<std::string> take(const char* name);
  /// Lowers a count that is above zero: whether it was.
  bool use_one(const char* name);
  [[nodiscard]] const nlohmann::json& all() const { return values_; }

 private:
  nlohmann::json values_;
};

}  // namespace ebb::emulator
