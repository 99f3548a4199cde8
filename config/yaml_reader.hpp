// Reads options out of YAML. Internal to the loader.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "daemon/model/options.hpp"

namespace ebb {

struct Place {
  int line = 0;
  int column = 0;
};

/// What a load collects: problems, and where each option stood, by path ("services[0].deployments[1].pool").
struct Report {
  std::string file;
  std::vector<Problem> problems;
  std::map<std::string, Place> places;

  void add(Place place, std::string message);
  /// At the option's place, or at that of the nearest mapping around it.
  void add(const std::string& path, std::string message);
};

Place place_of(const YAML::Node& node);

/// The known word nearest to `word`, or empty when none is near enough to be meant.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

/// Reads one mapping. Options that are absent keep their values. `finish` reports keys nobody asked for.
class YamlReader final : public OptionVisitor {
 public:
  YamlReader(const YAML::Node& node, std::string path, Report& report);

  void value(const OptionInfo& info, bool& v) override;
  void value(const OptionInfo& info, int& v, Range<int> range) override;
  void value(const OptionInfo& info, double& v, Range<double> range) override;
  void value(const OptionInfo& info, Duration& v, Range<Duration> range) override;
  void value(const OptionInfo& info, std::string& v) override;
  void value(const OptionInfo& info, std::vector<std::string>& v) override;
  void value(const OptionInfo& info, std::map<std::string, std::string>& v) override;
  void choice(const OptionInfo& info, int& index, std::span<const std::string_view> names) override;
  void object(const OptionInfo& info, const std::function<void(OptionVisitor&)>& fields) override;
  void list(const OptionInfo& info, std::size_t size, const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, OptionVisitor&)>& element) override;
  void selected(const OptionInfo& info, const std::string& name, std::span<const std::string_view> names,
                const std::function<bool(const std::string&)>& select,
                const std::function<void(OptionVisitor&)>& fields) override;

  void finish();

 private:
  /// The value under this key, or null; notes that the key is known and where it stands.
  const YAML::Node* find(const OptionInfo& info);
  /// A plain or quoted scalar; reports anything else.
  bool scalar(const YAML::Node& node, std::string_view wanted);
  void wrong(const YAML::Node& node, const OptionInfo& info, const std::string& what);
  [[nodiscard]] std::string path_of(std::string_view name) const;

  struct Entry {
    Place place;
    YAML::Node value;
    bool used = false;
  };
  YAML::Node node_;
  std::string path_;
  Report& report_;
  std::map<std::string, Entry> entries_;
  std::vector<std::string> known_;
};

}  // namespace ebb
