#include "adapters/exposition/parser.hpp"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <deque>
#include <utility>

#include "adapters/exposition/number.hpp"
#include "adapters/exposition/series_set.hpp"
#include "adapters/exposition/utf8.hpp"

namespace ebb::exposition {

namespace {

enum : std::uint8_t { kNameStart = 1, kNamePart = 2, kLabelStart = 4, kLabelPart = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    if (letter) table[c] = kNameStart | kNamePart | kLabelStart | kLabelPart;
    if (digit) table[c] = kNamePart | kLabelPart;
    if (c == ':') table[c] = kNameStart | kNamePart;
  }
  return table;
}
constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

bool is(char c, std::uint8_t what) { return (kClasses[static_cast<unsigned char>(c)] & what) != 0; }

/// One pass. Every `take_` function moves `at_` behind what it took and returns false after `fail`.
class Reader {
 public:
  Reader(std::string_view body, Format format, Sink& sink, const Limits& limits)
      : begin_(body.data()),
        end_(body.data() + body.size()),
        openmetrics_(format == Format::openmetrics),
        sink_(sink),
        limits_(limits) {
    labels_.reserve(16);
  }

  Result<Summary> read() {
    if (begin_ == end_) return malformed("the body is empty");
    if (end_[-1] != '\n' && !(openmetrics_ && std::string_view(begin_, size()).ends_with("# EOF"))) {
      return malformed("truncated: the last line has no line feed");
    }
    if (!valid_utf8({begin_, size()})) return malformed("not UTF-8");
    at_ = begin_;
    while (at_ < end_) {
      if (++summary_.lines > limits_.lines_max) return malformed("too many lines");
      if (saw_eof_) return malformed(line_text("something follows # EOF"));
      const void* feed = std::memchr(at_, '\n', static_cast<std::size_t>(end_ - at_));
      line_end_ = feed == nullptr ? end_ : static_cast<const char*>(feed);
      if (!take_line()) return malformed(line_text(problem_));
      at_ = line_end_ == end_ ? end_ : line_end_ + 1;
    }
    if (openmetrics_ && !saw_eof_) return malformed("truncated: # EOF is missing");
    return std::move(summary_);
  }

 private:
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
  static Error malformed(std::string what) { return {ErrorCode::malformed, std::move(what), true}; }
  [[nodiscard]] std::string line_text(const char* what) const {
    return fmt::format("line {}: {}", summary_.lines, what);
  }
  bool fail(const char* problem) {
    problem_ = problem;
    return false;
  }

  [[nodiscard]] bool at_end() const { return at_ == line_end_; }
  [[nodiscard]] char here() const { return at_ == line_end_ ? '\n' : *at_; }
  void skip_blanks() {
    while (here() == ' ' || here() == '\t') ++at_;
  }

  bool take_line() {
    if (!openmetrics_) {
      skip_blanks();
      if (at_end()) return true;
    }
    if (at_end()) return fail("a blank line");
    if (here() == '#') return take_comment();
    return take_sample();
  }

  bool take_comment() {
    const std::string_view line(at_, static_cast<std::size_t>(line_end_ - at_));
    if (openmetrics_ && line == "# EOF") return saw_eof_ = true;
    ++at_;
    skip_blanks();
    const std::string_view keyword = take_word();
    if (keyword == "TYPE") return take_type();
    if (!openmetrics_ || keyword == "HELP" || keyword == "UNIT") return true;
    return fail("a comment that is neither TYPE, HELP, UNIT nor EOF");
  }

  bool take_type() {
    skip_blanks();
    std::string_view family;
    if (here() == '"') {
      if (!take_quoted(family)) return false;
    } else {
      family = take_word();
    }
    skip_blanks();
    const std::string_view type = take_word();
    skip_blanks();
    if (family.empty() || type.empty() || !at_end()) return fail("a TYPE line is # TYPE name type");
    sink_.type(family, type);
    return true;
  }

  std::string_view take_word() {
    const char* start = at_;
    while (!at_end() && *at_ != ' ' && *at_ != '\t') ++at_;
    return {start, static_cast<std::size_t>(at_ - start)};
  }

  bool take_name(std::uint8_t first, std::uint8_t rest, std::string_view& name) {
    const char* start = at_;
    if (!is(here(), first)) return fail("a name expected");
    while (is(here(), rest)) ++at_;  // the line feed is in no class
    name = {start, static_cast<std::size_t>(at_ - start)};
    return name.size() <= limits_.name_bytes_max || fail("a name is too long");
  }

  /// From the opening quote to behind the closing one.
  bool take_quoted(std::string_view& text) {
    const char* start = ++at_;
    bool escaped = false;
    while (!at_end() && *at_ != '"') {
      if (*at_ == '\\') {
        escaped = true;
        if (++at_ == line_end_) break;
      }
      ++at_;
    }
    if (at_end()) return fail("a quote is not closed");
    text = {start, static_cast<std::size_t>(at_ - start)};
    ++at_;
    if (text.size() > limits_.value_bytes_max) return fail("a quoted text is too long");
    return !escaped || unescape(text);
  }

  bool unescape(std::string_view& text) {
    std::string& plain = unescaped_.emplace_back();
    plain.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        plain += text[i];
        continue;
      }
      const char next = text[++i];  // take_quoted never ends on a backslash
      if (next != '\\' && next != '"' && next != 'n') return fail("an unknown escape");
      plain += next == 'n' ? '\n' : next;
    }
    text = plain;
    return true;
  }

  /// The braces, from '{' to behind '}'. A quoted text without a value is the metric's name (text 1.0.0).
  bool take_labels(std::string_view* name) {
    ++at_;
    while (true) {
      skip_blanks();
      if (here() == '}') break;
      Label label;
      const bool quoted = here() == '"';
      if (!(quoted ? take_quoted(label.name) : take_name(kLabelStart, kLabelPart, label.name))) return false;
      skip_blanks();
      if (here() == '=') {
        ++at_;
        skip_blanks();
        if (here() != '"') return fail("a label value must be quoted");
        if (!take_quoted(label.value)) return false;
        if (labels_.size() == limits_.labels_max) return fail("too many labels");
        labels_.push_back(label);
      } else if (quoted && name != nullptr && name->empty() && labels_.empty() && !label.name.empty()) {
        *name = label.name;
      } else {
        return fail("a label must be name=\"value\"");
      }
      skip_blanks();
      if (here() == ',') {
        ++at_;
      } else if (here() != '}') {
        return fail("a comma or } expected after a label");
      }
    }
    ++at_;
    return true;
  }

  bool take_sample() {
    labels_.clear();
    unescaped_.clear();
    Series series;
    if (here() != '{' && !take_name(kNameStart, kNamePart, series.name)) return false;
    skip_blanks();
    if (here() == '{' && !take_labels(&series.name)) return false;
    if (series.name.empty()) return fail("a sample without a name");
    skip_blanks();
    const std::optional<double> value = parse_float(take_word());
    if (!value) return fail("the value is not a number");
    series.value = *value;
    series.labels = labels_;
    skip_blanks();
    if (!at_end() && here() != '#' && !take_timestamp(series)) return false;
    skip_blanks();
    if (!at_end() && !take_exemplar(series.name)) return false;
    ++summary_.samples;
    return deliver(series);
  }

  /// Milliseconds in text, seconds with decimals in OpenMetrics.
  bool take_timestamp(Series& series) {
    const std::string_view word = take_word();
    if (openmetrics_) {
      const std::optional<double> seconds = parse_float(word);
      // Year 2262: beyond, nanoseconds no longer fit anywhere.
      if (!seconds || !(std::abs(*seconds) < 9.2e9)) return fail("the timestamp is not in seconds");
      series.timestamp_ms = static_cast<std::int64_t>(*seconds * 1e3);
      return true;
    }
    std::int64_t ms = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), ms);
    if (error != std::errc() || end != word.data() + word.size()) return fail("the timestamp is not in milliseconds");
    series.timestamp_ms = ms;
    return true;
  }

  /// " # {labels} value [timestamp]": read for its grammar, then forgotten. The sample's own labels are behind us, so
  /// a '#' or '}' in their quotes cannot be mistaken for it.
  bool take_exemplar(std::string_view name) {
    if (!openmetrics_) return fail("something follows the timestamp");
    if (here() != '#') return fail("something follows the timestamp that is no exemplar");
    if (!name.ends_with("_bucket") && !name.ends_with("_total"))
      return fail("an exemplar on neither bucket nor counter");
    ++at_;
    skip_blanks();
    if (here() != '{') return fail("an exemplar without braces");
    const std::size_t own = labels_.size();
    if (!take_labels(nullptr)) return false;
    labels_.resize(own);  // no reallocation: the span of the sample still stands
    skip_blanks();
    if (!parse_float(take_word())) return fail("the exemplar's value is not a number");
    skip_blanks();
    if (!at_end() && !parse_float(take_word())) return fail("the exemplar's timestamp is not a number");
    skip_blanks();
    return at_end() || fail("something follows the exemplar");
  }

  bool deliver(Series& series) {
    series.labels = labels_;  // an exemplar may have moved them
    if (series.name != last_name_) {
      last_name_ = series.name.data() >= begin_ && series.name.data() < end_ ? series.name : std::string_view();
      // (an unescaped name does not outlive its line)
      wanted_ = sink_.wants(series.name);
      bucket_ = series.name.ends_with("_bucket");
    }
    if (!wanted_) return true;
    std::uint64_t hash = 0;
    if (!hash_of(series, hash)) return false;
    if (!seen_.insert(hash)) {
      if (summary_.duplicates++ == 0) summary_.duplicate = series.name;
      return true;
    }
    sink_.sample(series);
    return true;
  }

  /// Independent of the order of the labels; `le` counts as the number it is.
  bool hash_of(const Series& series, std::uint64_t& hash) {
    hash = hashed(series.name);
    std::uint64_t sum = 0;
    for (const Label& label : series.labels) {
      if (label.value.empty()) continue;  // an empty label is an absent one
      std::uint64_t value = 0;
      if (bucket_ && label.name == "le") {
        const std::optional<double> bound = bucket_bound(label.value);
        if (!bound) return fail("le is not a number");
        value = std::bit_cast<std::uint64_t>(*bound == 0 ? 0.0 : *bound);
      } else {
        value = hashed(label.value);
      }
      sum += mixed(hashed(label.name), value);
    }
    hash = mixed(hash, sum);
    return true;
  }

  const char* begin_;
  const char* end_;
  const bool openmetrics_;
  Sink& sink_;
  const Limits& limits_;
  const char* at_ = nullptr;
  const char* line_end_ = nullptr;
  const char* problem_ = "";
  bool saw_eof_ = false;
  std::vector<Label> labels_;
  std::deque<std::string> unescaped_;  ///< of this line; a deque, so that views into it stay
  std::string_view last_name_;
  bool wanted_ = false;
  bool bucket_ = false;
  SeriesSet seen_;
  Summary summary_;
};

}  // namespace

Format format_of(std::string_view content_type) {
  return content_type.starts_with("application/openmetrics-text") ? Format::openmetrics : Format::text;
}

std::string_view Series::label(std::string_view label_name) const {
  for (const Label& each : labels) {
    if (each.name == label_name) return each.value;
  }
  return {};
}

Result<Summary> parse(std::string_view body, Format format, Sink& sink, const Limits& limits) {
  return Reader(body, format, sink, limits).read();
}

std::optional<double> bucket_bound(std::string_view le) {
  const std::optional<double> bound = parse_float(le);
  if (!bound || std::isnan(*bound)) return std::nullopt;
  return bound;
}

}  // namespace ebb::exposition
