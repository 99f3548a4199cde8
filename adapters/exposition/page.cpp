#include "adapters/exposition/parser.hpp"

#include <algorithm>
#include <utility>

namespace ebb::exposition {

Result<Page> parse(std::string body, Format format, const Limits& limits) {
  Page page;
  page.body_ = std::make_unique<const std::string>(std::move(body));

  struct Keeper : Sink {
    explicit Keeper(Page& target) : page(target) {}
    bool wants(std::string_view) override { return true; }
    void type(std::string_view family, std::string_view type) override { page.types_.emplace(family, type); }
    void sample(const Series& series) override {
      Series kept = series;
      std::vector<Label> labels(series.labels.begin(), series.labels.end());
      kept.name = keep(series.name);
      for (Label& label : labels) label = {keep(label.name), keep(label.value)};
      page.labels_.push_back(std::make_unique<const std::vector<Label>>(std::move(labels)));
      kept.labels = *page.labels_.back();
      page.series_.push_back(kept);
    }
    /// What was unescaped lives elsewhere than in the body, and only until the call returns.
    std::string_view keep(std::string_view text) {
      const std::string& whole = *page.body_;
      const std::less_equal<const char*> before;
      if (before(whole.data(), text.data()) && before(text.data() + text.size(), whole.data() + whole.size()))
        return text;
      return *page.unescaped_.emplace_back(std::make_unique<const std::string>(text));
    }
    Page& page;
  } keeper(page);

  Result<Summary> summary = parse(std::string_view(*page.body_), format, keeper, limits);
  if (!summary.ok()) return summary.error();
  page.summary_ = std::move(*summary);
  return page;
}

std::string_view Page::type_of(std::string_view family) const {
  const auto found = types_.find(family);
  return found == types_.end() ? std::string_view("untyped") : std::string_view(found->second);
}

const Series* Page::find(std::string_view name, const std::vector<Label>& labels) const {
  const auto fits = [&](const Series& series) {
    return series.name == name && std::all_of(labels.begin(), labels.end(), [&](const Label& label) {
             return series.label(label.name) == label.value;
           });
  };
  const auto found = std::find_if(series_.begin(), series_.end(), fits);
  return found == series_.end() ? nullptr : &*found;
}

}  // namespace ebb::exposition
