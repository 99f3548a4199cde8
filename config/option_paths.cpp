#include "config/option_paths.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "config/options.hpp"

namespace ebb {
namespace {

constexpr std::string_view kMark = " with policy: ";

/// Walks all options, those of every policy too, and notes the mappings in which a name stands.
class Finder final : public OptionVisitor {
 public:
  explicit Finder(std::string wanted) : wanted_(std::move(wanted)) {}
  void value(const OptionInfo& i, bool&) override { see(i); }
  void value(const OptionInfo& i, int&, Range<int>) override { see(i); }
  void value(const OptionInfo& i, double&, Range<double>) override { see(i); }
  void value(const OptionInfo& i, Duration&, Range<Duration>) override { see(i); }
  void value(const OptionInfo& i, std::string&) override { see(i); }
  void value(const OptionInfo& i, std::vector<std::string>&) override { see(i); }
  void value(const OptionInfo& i, std::map<std::string, std::string>&) override { see(i); }
  void choice(const OptionInfo& i, int&, std::span<const std::string_view>) override { see(i); }
  void object(const OptionInfo& i, const std::function<void(OptionVisitor&)>& fields) override {
    inside(i, "", fields);
  }
  void list(const OptionInfo& i, std::size_t, const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, OptionVisitor&)>& element) override {
    resize(1);
    inside(i, "[]", [&](OptionVisitor& v) { element(0, v); });
  }
  void selected(const OptionInfo& i, const std::string&, std::span<const std::string_view> names,
                const std::function<bool(const std::string&)>& select,
                const std::function<void(OptionVisitor&)>& fields) override {
    if (path_.starts_with("backtest")) return;  // the services' policies again
    for (const std::string_view name : names) {
      if (select(std::string(name))) inside(i, std::string(kMark) + std::string(name), fields);
    }
  }
  /// The same policies again, one level further in: no better place for an option than the first.
  void selection(const std::string&, std::span<const std::string_view>, const std::function<bool(const std::string&)>&,
                 const std::function<void(OptionVisitor&)>&) override {}

  /// "pools[]", "services[].capacity with policy: a, b"
  [[nodiscard]] std::set<std::string> places() const {
    std::set<std::string> out;
    for (const auto& [place, policies] : places_) out.insert(place.first + policies + place.second);
    return out;
  }

 private:
  void see(const OptionInfo& info) {
    if (info.name != wanted_) return;
    const std::size_t marked = path_.find(kMark);
    if (marked == std::string::npos) {
      places_[{path_.empty() ? "the top level" : path_, ""}];
      return;
    }
    // Policies that share an option are named together.
    const std::size_t begin = marked + kMark.size(), end = std::min(path_.find('.', begin), path_.size());
    std::string& policies = places_[{path_.substr(0, marked), path_.substr(end)}];
    policies += (policies.empty() ? std::string(kMark) : ", ") + path_.substr(begin, end - begin);
  }
  void inside(const OptionInfo& info, const std::string& mark, const std::function<void(OptionVisitor&)>& fields) {
    see(info);
    const std::string before = path_;
    path_ += (path_.empty() ? "" : ".") + std::string(info.name) + mark;
    fields(*this);
    path_ = before;
  }
  std::string wanted_, path_;
  std::map<std::pair<std::string, std::string>, std::string> places_;  ///< before and after the policies -> them
};

}  // namespace

std::string belongs_elsewhere(const std::string& name) {
  Config config;
  Finder finder(name);
  options(config, finder);
  std::string out;
  for (const std::string& place : finder.places()) out += (out.empty() ? "; it belongs into " : " or ") + place;
  return out;
}

}  // namespace ebb
