// Any bytes: no crash, and what is accepted keeps the promises of the parser.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "adapters/exposition/dialects.hpp"
#include "adapters/exposition/parser.hpp"
#include "adapters/exposition/utf8.hpp"

using namespace ebb::exposition;

namespace {

void demand(bool kept) {
  if (!kept) std::abort();
}

void check_page(const std::string& text, Format format) {
  const auto page = parse(text, format);
  if (!page.ok()) {
    demand(!page.error().what.empty() && valid_utf8(page.error().what));
    return;
  }
  demand(text.ends_with('\n') || text.ends_with("# EOF"));
  demand(page->series().size() + page->summary().duplicates == page->summary().samples);
  for (const Series& series : page->series()) {
    demand(!series.name.empty() && valid_utf8(series.name));
    for (const Label& label : series.labels) demand(valid_utf8(label.name) && valid_utf8(label.value));
  }
}

void check_engine(std::string_view text, Format format, std::string_view model) {
  const auto seen = read_engine(text, format, "auto", model);
  if (!seen.ok()) return demand(valid_utf8(seen.error().what));
  for (const Figure* figure : {&seen->running, &seen->waiting, &seen->in_flight, &seen->kv_usage, &seen->asleep}) {
    demand(figure->value ? *figure->value >= 0 : true);
    demand(figure->value || valid_utf8(figure->why));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const Format format : {Format::text, Format::openmetrics}) {
    check_page(text, format);
    check_engine(text, format, "");
    check_engine(text, format, "prod");
  }
  return 0;
}
