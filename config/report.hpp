// What a load collects on its way. Internal to config/.
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace ebb {

/// Problems, and where each option stood, by path ("services[0].deployments[1].pool").
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  /// Notes where an option, or an element of a list, stands.
  void stands(const std::string& path, Place place) { places_[path] = place; }
  [[nodiscard]] bool given(const std::string& path) const { return places_.contains(path); }
  /// Of the option, or of the nearest mapping around it.
  [[nodiscard]] Place place_of(const std::string& path) const;

  void add(Place place, std::string message);
  /// At the option's place, or at that of the nearest mapping around it.
  void add(const std::string& path, std::string message) { add(place_of(path), std::move(message)); }

  /// As `add`; the option has no usable value, so rules that involve it have nothing to say.
  void broken(const std::string& path, Place place, std::string message);
  /// False when one of the options, or what is around it, is broken: a rule would judge a default nobody chose.
  [[nodiscard]] bool sound(std::initializer_list<std::string> paths) const;

  /// Counts what lists and mappings hold, aliases each time; false once there is more than a configuration could need.
  bool afford(std::size_t elements);

  /// By place, each said once.
  [[nodiscard]] std::vector<Problem> problems() &&;
  [[nodiscard]] std::size_t count() const { return problems_.size(); }

 private:
  std::string file_;
  std::vector<Problem> problems_;
  std::map<std::string, Place> places_;
  std::set<std::string> broken_;
  std::size_t elements_ = 0;
  std::size_t unsaid_ = 0;
};

}  // namespace ebb
