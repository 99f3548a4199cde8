// The exposition formats of the Prometheus world: text 0.0.4, text 1.0.0 (quoted UTF-8 names) and OpenMetrics 1.0.
// One pass over the body, views into it, no allocation per sample.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::exposition {

enum class Format { text, openmetrics };

/// By the Content-Type header; what is not OpenMetrics is read as text.
Format format_of(std::string_view content_type);

/// A page beyond these is refused as a whole.
struct Limits {
  std::size_t lines_max = 1'000'000;
  std::size_t labels_max = 128;         ///< of one sample
  std::size_t name_bytes_max = 1'024;   ///< of a metric or label name
  std::size_t value_bytes_max = 8'192;  ///< of a label value, escaped
};

struct Label {
  std::string_view name;
  std::string_view value;  ///< unescaped
};

/// One sample. In a sink the views live until the call returns, in a page as long as the page.
struct Series {
  std::string_view name;
  std::span<const Label> labels;  ///< in the order of the page
  double value = 0;               ///< NaN and infinities are legal here
  std::optional<std::int64_t> timestamp_ms;

  /// The label's value; empty when it is absent, which means the same in this format.
  [[nodiscard]] std::string_view label(std::string_view label_name) const;
};

/// What a caller wants of a page, and where it goes.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Asked once for a run of lines with the same name. Samples nobody wants are still checked, but not delivered.
  virtual bool wants(std::string_view name) = 0;
  virtual void sample(const Series& series) = 0;
  /// A "# TYPE" line. OpenMetrics names the family, without "_total".
  virtual void type(std::string_view /*family*/, std::string_view /*type*/) {}
};

struct Summary {
  std::size_t lines = 0;
  std::size_t samples = 0;     ///< all of the page, duplicates included
  std::size_t duplicates = 0;  ///< wanted series that came again: the first one was delivered, this one not
  std::string duplicate;       ///< the name of the first of them
};

/// Reads a page. Errors are `malformed` and name the line; samples delivered before one must be thrown away, since
/// a page with one bad line is a page that something has cut or mixed up. In particular a last line without its line
/// feed (text), or a missing "# EOF" (OpenMetrics), is a truncated scrape. An empty body is an error, a page
/// without a sample is not.
Result<Summary> parse(std::string_view body, Format format, Sink& sink, const Limits& limits = {});

/// The upper bound of a histogram bucket: "1", "1.0" and "1e+00" are the same. Nothing for NaN and for what is no
/// number.
std::optional<double> bucket_bound(std::string_view le);

/// A whole page in memory, for tools and tests; the daemon reads through a sink.
class Page {
 public:
  [[nodiscard]] const std::vector<Series>& series() const { return series_; }
  [[nodiscard]] const Summary& summary() const { return summary_; }
  /// "counter", "gauge", ...; "untyped" where the page says nothing.
  [[nodiscard]] std::string_view type_of(std::string_view family) const;
  /// The first series of that name with all of these labels, or null.
  [[nodiscard]] const Series* find(std::string_view name, const std::vector<Label>& labels = {}) const;

 private:
  friend Result<Page> parse(std::string body, Format format, const Limits& limits);
  std::unique_ptr<const std::string> body_;  ///< its address stays when the page moves: the views point into it
  std::vector<std::unique_ptr<const std::vector<Label>>> labels_;
  std::vector<std::unique_ptr<const std::string>> unescaped_;
  std::vector<Series> series_;
  std::map<std::string, std::string, std::less<>> types_;
  Summary summary_;
};

Result<Page> parse(std::string body, Format format, const Limits& limits = {});

}  // namespace ebb::exposition
