// Reads options out of YAML. Internal to config/.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.hpp"
#include "daemon/model/options.hpp"

namespace ebb {

/// yaml-cpp counts from 0.
Place place_of(const YAML::Node& node);

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
  void selection(const std::string& name, std::span<const std::string_view> names,
                 const std::function<bool(const std::string&)>& select,
                 const std::function<void(OptionVisitor&)>& fields) override;
  void value(const OptionInfo& info, TimeZone& v) override;

  void finish();

 private:
  struct Entry {
    Place place;
    YAML::Node value;
    bool used = false;
  };

  /// The value under this key, or null; notes that the key is known and where it stands.
  const YAML::Node* find(const OptionInfo& info);
  /// As `find`, for a plain or quoted scalar; reports anything else.
  const YAML::Node* find_scalar(const OptionInfo& info, std::string_view wanted);
  /// As `find_scalar`, for a number: text in quotes is refused.
  const YAML::Node* find_number(const OptionInfo& info, std::string_view wanted);
  /// Whether an element of a list or a value of a mapping is text, and may be.
  bool is_text(const YAML::Node& node, const OptionInfo& info);
  /// Reads the policy's name and options out of this mapping; `path` is where an unknown name is to be blamed.
  void choose(const std::string& name, std::span<const std::string_view> names,
              const std::function<bool(const std::string&)>& select, const std::function<void(OptionVisitor&)>& fields,
              const std::string& where);
  void wrong(const YAML::Node& node, const OptionInfo& info, const std::string& what);
  /// False, and said so, when the file holds more than any configuration could.
  bool afford(const YAML::Node& node, const OptionInfo& info);
  [[nodiscard]] std::string path_of(std::string_view name) const;

  YAML::Node node_;
  std::string path_;
  Report& report_;
  std::map<std::string, Entry> entries_;
  std::vector<std::string> known_;
  bool given_up_ = false;  ///< whose keys these are is unknown, so none of them is
};

}  // namespace ebb
