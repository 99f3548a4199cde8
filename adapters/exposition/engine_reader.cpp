// One pass over a page into the rows of the dialect tables, then the figures out of the rows.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "adapters/exposition/dialects.hpp"
#include "adapters/exposition/series_set.hpp"

namespace ebb::exposition {

namespace {

constexpr std::string_view kStartTime = "process_start_time_seconds";
constexpr std::size_t kNameMax = 96;   // the longest name in the tables has 49
constexpr std::size_t kSeenNames = 5;  // enough to tell which program answered
constexpr std::size_t kSeenNameMax = 64;

/// Row numbers in the order of their names, for a binary search.
std::vector<std::size_t> rows_by_name() {
  const std::span<const MetricRow> rows = metric_rows();
  std::vector<std::size_t> order(rows.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].name < rows[b].name; });
  return order;
}

/// Ranks of one engine report the same requests; replicas of the data-parallel kind (dp_rank, engine) do not.
bool is_rank(std::string_view label) { return label == "tp_rank" || label == "pp_rank" || label == "moe_ep_rank"; }

std::uint64_t identity(const Series& series) {
  std::uint64_t sum = 0;
  for (const Label& label : series.labels) {
    if (!is_rank(label.name) && !label.value.empty()) sum += mixed(hashed(label.name), hashed(label.value));
  }
  return mixed(hashed(series.name), sum);
}

/// What a page says in one row.
struct RowSeen {
  Counters series;
  std::string bad;  ///< "NaN in vllm:num_requests_running"
  [[nodiscard]] bool present() const { return !series.empty() || !bad.empty(); }
};

class Collector : public Sink {
 public:
  explicit Collector(std::string_view model_name)
      : order_(rows_by_name()), rows_(metric_rows().size()), model_name_(model_name) {}

  bool wants(std::string_view name) override {
    note(name);
    first_ = last_ = 0;
    start_time_ = name == kStartTime;
    if (start_time_) return true;
    if (name.size() > kNameMax || !known_start(name)) return false;
    std::array<char, kNameMax> text{};
    std::replace_copy(name.begin(), name.end(), text.begin(), ':', '_');
    const std::string_view canonical(text.data(), name.size());
    const std::span<const MetricRow> rows = metric_rows();
    const auto less = [&](std::size_t row, std::string_view key) { return rows[row].name < key; };
    const auto found = std::lower_bound(order_.begin(), order_.end(), canonical, less);
    first_ = last_ = static_cast<std::size_t>(found - order_.begin());
    while (last_ < order_.size() && rows[order_[last_]].name == canonical) ++last_;
    return first_ < last_;
  }

  void sample(const Series& series) override {
    if (start_time_) {
      births_[identity(series)] = series.value;
      return;
    }
    if (!of_our_model(series)) return;
    if (series.timestamp_ms) oldest_ms_ = std::min(oldest_ms_.value_or(*series.timestamp_ms), *series.timestamp_ms);
    const std::span<const MetricRow> rows = metric_rows();
    for (std::size_t i = first_; i < last_; ++i) {
      const MetricRow& row = rows[order_[i]];
      if (!row.label.empty() && series.label(row.label) != row.value) continue;
      enter(rows_[order_[i]], series);
    }
  }

  [[nodiscard]] const RowSeen& row(std::size_t index) const { return rows_[index]; }
  [[nodiscard]] const Counters& births() const { return births_; }
  [[nodiscard]] std::optional<std::int64_t> oldest_ms() const { return oldest_ms_; }

  [[nodiscard]] std::string nothing_found(std::string_view dialect) const {
    const std::string_view what = dialect == "auto" ? "engine" : dialect;
    if (!other_model_.empty()) {
      return fmt::format("no {} metric of model \"{}\" found; saw model \"{}\"", what, model_name_, other_model_);
    }
    return fmt::format("no {} metric found; saw: {}", what,
                       seen_names_.empty() ? "nothing" : fmt::to_string(fmt::join(seen_names_, ", ")));
  }

 private:
  static bool known_start(std::string_view name) {
    constexpr std::array<std::string_view, 7> kStarts{"vllm", "sglang", "dynamo", "tgi_", "llamacpp", "nv_", "trtllm"};
    return std::any_of(kStarts.begin(), kStarts.end(), [&](std::string_view start) { return name.starts_with(start); });
  }

  void note(std::string_view name) {
    if (seen_names_.size() >= kSeenNames) return;
    // Cut at a character, not at a byte: the text ends in JSON.
    std::size_t length = std::min(name.size(), kSeenNameMax);
    while (length > 0 && length < name.size() && (static_cast<unsigned char>(name[length]) & 0xC0) == 0x80) --length;
    std::string text(name.substr(0, length));
    if (std::find(seen_names_.begin(), seen_names_.end(), text) == seen_names_.end())
      seen_names_.push_back(std::move(text));
  }

  bool of_our_model(const Series& series) {
    if (model_name_.empty()) return true;
    std::string_view model = series.label("model_name");
    if (model.empty()) model = series.label("model");
    if (model.empty() || model == model_name_) return true;
    if (other_model_.empty()) other_model_ = model;
    return false;
  }

  /// NaN, infinities and negative numbers are no counts; they must not vanish in a sum or a comparison either.
  static void enter(RowSeen& row, const Series& series) {
    if (!std::isfinite(series.value) || series.value < 0) {
      const char* what = std::isnan(series.value) ? "NaN" : std::isinf(series.value) ? "infinity" : "a negative value";
      if (row.bad.empty()) row.bad = fmt::format("{} in {}", what, series.name);
      return;
    }
    const auto [mine, added] = row.series.emplace(identity(series), series.value);
    if (!added) mine->second = std::max(mine->second, series.value);
  }

  std::vector<std::size_t> order_;
  std::vector<RowSeen> rows_;
  std::string model_name_;
  std::size_t first_ = 0;
  std::size_t last_ = 0;
  bool start_time_ = false;
  Counters births_;
  std::optional<std::int64_t> oldest_ms_;
  std::string other_model_;
  std::vector<std::string> seen_names_;
};

/// The row that stands for a part: the newest name present.
const RowSeen* chosen(const Collector& page, DialectKind dialect, Role role, int part) {
  const std::span<const MetricRow> rows = metric_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].dialect != dialect || rows[i].role != role || rows[i].part != part) continue;
    if (page.row(i).present()) return &page.row(i);
  }
  return nullptr;
}

constexpr int kPartsMax = 8;

Figure figure(const Collector& page, DialectKind dialect, Role role, const char* name) {
  Figure figure;
  double sum = 0;
  for (int part = 0; part < kPartsMax; ++part) {
    const RowSeen* row = chosen(page, dialect, role, part);
    if (row == nullptr) {
      // The first part is the signal itself; the others are queues that not every set-up has.
      if (part == 0) figure.why = fmt::format("no {} metric on the {} page", name, to_string(dialect));
      if (part == 0) return figure;
      continue;
    }
    if (!row->bad.empty()) {
      figure.why = row->bad;
      return figure;
    }
    for (const auto& [key, value] : row->series) sum = role == Role::kv_usage ? std::max(sum, value) : sum + value;
  }
  figure.value = sum;
  return figure;
}

Counters counters(const Collector& page, DialectKind dialect, Role role) {
  Counters all;
  for (int part = 0; part < kPartsMax; ++part) {
    const RowSeen* row = chosen(page, dialect, role, part);
    if (row == nullptr) continue;
    if (!row->bad.empty()) return {};
    all.insert(row->series.begin(), row->series.end());
  }
  return all;
}

Counters live_counters(const Collector& page, DialectKind dialect) {
  Counters all;
  const std::span<const MetricRow> rows = metric_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].dialect == dialect && rows[i].live) all.insert(page.row(i).series.begin(), page.row(i).series.end());
  }
  return all;
}

bool shows_load(const Collector& page, DialectKind dialect) {
  const auto has = [&](Role role) { return chosen(page, dialect, role, 0) != nullptr; };
  return has(Role::running) || has(Role::in_flight) || has(Role::waiting) ||
         chosen(page, dialect, Role::waiting, 1) != nullptr;
}

/// The first dialect with a load metric; pages of two (Triton with vLLM inside) are read as the more telling one.
std::optional<DialectKind> recognised(const Collector& page, std::string_view dialect) {
  for (const DialectKind kind : {DialectKind::vllm, DialectKind::sglang, DialectKind::dynamo, DialectKind::tgi,
                                 DialectKind::llamacpp, DialectKind::triton}) {
    if ((dialect == "auto" || dialect == to_string(kind)) && shows_load(page, kind)) return kind;
  }
  return std::nullopt;
}

Figure sum_of(const Figure& a, const Figure& b) {
  if (!a.value) return a;
  if (!b.value) return b;
  return {*a.value + *b.value, ""};
}

Figure sleep_state(const Collector& page, DialectKind dialect) {
  const Figure awake = figure(page, dialect, Role::awake, "sleep state");
  if (awake.value) return {*awake.value > 0 ? 0.0 : 1.0, ""};
  const Figure asleep = figure(page, dialect, Role::asleep, "sleep state");
  if (asleep.value) return {*asleep.value > 0 ? 1.0 : 0.0, ""};
  return awake;
}

/// Load, per dialect. Dynamo counts what is in flight and which of that is queued; the others count apart.
void take_load(EngineSeen& seen, const Collector& page) {
  const DialectKind kind = seen.dialect;
  seen.waiting = figure(page, kind, Role::waiting, "waiting");
  if (kind == DialectKind::dynamo) {
    seen.in_flight = figure(page, kind, Role::in_flight, "in-flight");
    seen.running = sum_of(seen.in_flight, seen.waiting);
    if (seen.running.value) seen.running.value = std::max(0.0, *seen.in_flight.value - *seen.waiting.value);
    return;
  }
  seen.running = figure(page, kind, Role::running, "running");
  if (kind == DialectKind::triton && chosen(page, kind, Role::waiting, 0) == nullptr) {
    // Without the TensorRT-LLM back end only Triton's own queue is there.
    const RowSeen* pending = chosen(page, kind, Role::waiting, 1);
    if (pending != nullptr && pending->bad.empty()) {
      double sum = 0;
      for (const auto& [key, value] : pending->series) sum += value;
      seen.waiting = {sum, ""};
    }
  }
  seen.in_flight = sum_of(seen.running, seen.waiting);
}

}  // namespace

Result<EngineSeen> read_engine(std::string_view body, Format format, std::string_view dialect,
                               std::string_view model_name) {
  Collector page(model_name);
  const Result<Summary> summary = parse(body, format, page);
  if (!summary.ok()) return summary.error();
  if (summary->duplicates > 0) {
    return Error{ErrorCode::malformed, fmt::format("series of {} stand on the page twice", summary->duplicate), true};
  }
  const std::optional<DialectKind> kind = recognised(page, dialect);
  if (!kind) return Error{ErrorCode::not_found, page.nothing_found(dialect), false};

  EngineSeen seen;
  seen.dialect = *kind;
  take_load(seen, page);
  seen.kv_usage = figure(page, *kind, Role::kv_usage, "KV usage");
  if (seen.kv_usage.value > 1.05) seen.kv_usage = {std::nullopt, "KV usage is above 1, no fraction"};
  seen.asleep = sleep_state(page, *kind);
  seen.tokens = counters(page, *kind, Role::tokens);
  seen.requests = counters(page, *kind, Role::requests);
  seen.busy_us = counters(page, *kind, Role::busy_us);
  seen.progress = live_counters(page, *kind);
  seen.births = counters(page, *kind, Role::created);
  seen.births.insert(page.births().begin(), page.births().end());
  seen.oldest_timestamp_ms = page.oldest_ms();
  return seen;
}

}  // namespace ebb::exposition
