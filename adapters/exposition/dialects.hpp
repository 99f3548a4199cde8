// What the engines call their load. Tables of names, old and new, and one reading out of one page.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/exposition/parser.hpp"

namespace ebb::exposition {

enum class DialectKind { vllm, sglang, dynamo, tgi, llamacpp, triton };

/// What a metric says.
enum class Role {
  running,    ///< requests in the batch
  waiting,    ///< requests in a queue of the engine; several queues add up
  in_flight,  ///< running and waiting together, where the engine counts no running ones
  kv_usage,   ///< 0..1 of the KV cache, per engine
  tokens,     ///< counter: prompt and generated tokens
  requests,   ///< counter
  progress,   ///< moves while tokens are made; only told apart from flat
  busy_us,    ///< counter: microseconds requests spent inside, queue included, added when they finish
  awake,      ///< 1 awake, 0 asleep
  asleep,     ///< 1 asleep
  created,    ///< when a counter or its process began; a change is a restart
};

/// One row of a dialect. Of rows with the same role and `part` the first one present counts (the others are older
/// names of the same thing); different parts add up.
struct MetricRow {
  DialectKind dialect;
  Role role;
  int part;                ///< which summand of the role
  std::string_view name;   ///< ':' written as '_'
  std::string_view label;  ///< only series with label=value; empty: all
  std::string_view value;
  bool live = false;  ///< a counter that moves while a request runs, not only at its end
};

std::span<const MetricRow> metric_rows();

/// "vllm", "sglang", ... as in the configuration.
const char* to_string(DialectKind kind);
std::optional<DialectKind> dialect_from(std::string_view name);

/// A number, or why there is none.
struct Figure {
  std::optional<double> value;
  std::string why;
};

/// A counter's series by identity (name and labels, hashed).
using Counters = std::map<std::uint64_t, double>;

/// What one engine's page says.
struct EngineSeen {
  DialectKind dialect = DialectKind::vllm;
  Figure running, waiting, in_flight;
  Figure kv_usage;  ///< the fullest engine of the page, 0..1
  Figure asleep;    ///< 1 when the engine sleeps; no value where the dialect has no such thing
  Counters tokens, requests;
  Counters progress;  ///< live counters; empty: a frozen engine cannot be told
  Counters busy_us;   ///< microseconds, see Role::busy_us
  Counters births;    ///< start and creation times; a change means the counters began anew
  std::optional<std::int64_t> oldest_timestamp_ms;  ///< of samples with a time of their own
};

/// Reads one page. `dialect`: "auto" or a name. `model_name`: only series whose model label is this; where a dialect
/// has no model label, or it is empty, all.
/// Errors: `malformed` (see parse; also a duplicate among the series we read) and `not_found` when no known load metric
/// is there ("no vllm metric found; saw: go_threads, ..."), which deserves an alarm: names change.
/// A metric that is absent, NaN, infinite or negative leaves its figures without a value, never at zero.
Result<EngineSeen> read_engine(std::string_view body, Format format, std::string_view dialect,
                               std::string_view model_name);

}  // namespace ebb::exposition
