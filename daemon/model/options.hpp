// One declaration per option: name, unit, default (the member's value), range and help. From it come the
// loader, docs/configuration.md, the JSON Schema and the check that examples/full.yaml equals the defaults.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/time.hpp"
#include "daemon/model/time_zone.hpp"
#include "daemon/model/units.hpp"

namespace ebb {

struct OptionInfo {
  std::string_view name;  ///< the YAML key, snake_case
  std::string_view help;  ///< one sentence
  bool required = false;  ///< no default makes sense
};

template <class T>
struct Range {
  T min;
  T max;
};

/// A struct with options has a function that shows each of them to a visitor, in reading order. A loader's
/// visitor writes them, a printer's reads them: the references are to the members themselves.
class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;

  virtual void value(const OptionInfo& info, bool& v) = 0;
  virtual void value(const OptionInfo& info, int& v, Range<int> range) = 0;
  virtual void value(const OptionInfo& info, double& v, Range<double> range) = 0;
  virtual void value(const OptionInfo& info, Duration& v, Range<Duration> range) = 0;
  virtual void value(const OptionInfo& info, std::string& v) = 0;
  virtual void value(const OptionInfo& info, std::vector<std::string>& v) = 0;
  virtual void value(const OptionInfo& info, std::map<std::string, std::string>& v) = 0;
  /// A word out of `names`; `index` is its position.
  virtual void choice(const OptionInfo& info, int& index, std::span<const std::string_view> names) = 0;
  /// A nested mapping.
  virtual void object(const OptionInfo& info, const std::function<void(OptionVisitor&)>& fields) = 0;
  /// A list of mappings: `resize(n)` makes n default elements, `element(i, v)` shows the i-th.
  virtual void list(const OptionInfo& info, std::size_t size, const std::function<void(std::size_t)>& resize,
                    const std::function<void(std::size_t, OptionVisitor&)>& element) = 0;
  /// A mapping with a `policy` key that names one of `names` and whose other keys belong to it. `select(name)`
  /// makes it (false: no such policy); `fields` then shows its options.
  virtual void selected(const OptionInfo& info, const std::string& name, std::span<const std::string_view> names,
                        const std::function<bool(const std::string&)>& select,
                        const std::function<void(OptionVisitor&)>& fields) = 0;

  /// Inside an element of a list: the mapping itself has the `policy` key, the rest as in `selected`. Policies that
  /// list others do not stand in `names`, so that shown options end. A visitor that does not choose sees what is there.
  virtual void selection(const std::string& name, std::span<const std::string_view> names,
                         const std::function<bool(const std::string&)>& select,
                         const std::function<void(OptionVisitor&)>& fields) {
    (void)name, (void)names, (void)select;
    fields(*this);
  }
  /// A time zone by its name; the loader fills in its table.
  virtual void value(const OptionInfo& info, TimeZone& v) { value(info, v.name); }

  // Conveniences for the unit types.
  void value(const OptionInfo& info, Replicas& v, Range<int> range) { value(info, v.count, range); }
  void value(const OptionInfo& info, Gpus& v, Range<int> range) { value(info, v.count, range); }
};

/// `visitor.list` over a vector of structs that have a `void options(T&, OptionVisitor&)`.
template <class T>
void visit_list(OptionVisitor& visitor, const OptionInfo& info, std::vector<T>& items) {
  visitor.list(
      info, items.size(), [&items](std::size_t n) { items.resize(n); },
      [&items](std::size_t i, OptionVisitor& v) { options(items[i], v); });
}

}  // namespace ebb
