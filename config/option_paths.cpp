#include "config/option_paths.hpp"

#include <set>

#include "config/options.hpp"

namespace ebb {
namespace {

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
    for (const std::string_view name : names) {
      if (select(std::string(name))) inside(i, " with policy: " + std::string(name), fields);
    }
  }

  [[nodiscard]] const std::set<std::string>& places() const { return places_; }

 private:
  void see(const OptionInfo& info) {
    if (info.name == wanted_) places_.insert(path_.empty() ? "the top level" : path_);
  }
  void inside(const OptionInfo& info, const std::string& mark, const std::function<void(OptionVisitor&)>& fields) {
    see(info);
    const std::string before = path_;
    path_ += (path_.empty() ? "" : ".") + std::string(info.name) + mark;
    fields(*this);
    path_ = before;
  }
  std::string wanted_, path_;
  std::set<std::string> places_;
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
