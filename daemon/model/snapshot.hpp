// A published version of the weights, and what became of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/model/time.hpp"

namespace ebb {

using Identity = Id<struct SnapshotTag>;  ///< a directory's name in the bucket: one path segment, new for each snapshot

enum class SnapshotKind { full, incremental };

/// The life of a snapshot; the diagram and the table stand in core/snapshot_table.hpp.
enum class SnapshotPhase {
  planned,    ///< the trainer asked what to write
  published,  ///< uploaded, says the trainer; not looked at yet
  verified,   ///< whole and readable; waits for its turn
  loading,    ///< signalled to at least one deployment
  serving,    ///< enough replicas serve it
  rejected,   ///< never signalled: it is not whole, or not what it says
  failed,     ///< signalled, and not enough replicas took it
  dropped,    ///< never ended: its parent failed, or the ledger was reset
};

/// What a trainer says of a snapshot. The same words twice are the same publication.
struct Publication {
  Identity identity;
  SnapshotKind kind = SnapshotKind::full;
  Identity parent;                           ///< incremental only
  std::optional<std::string> run;            ///< absent: the run that goes on
  std::optional<std::int64_t> step;          ///< absent: the next one
  std::optional<std::string> reset_cache;    ///< "all", "new_session", "none"; absent: as configured
  std::string compression_format;            ///< incremental only; opaque
  std::string checksum_format;               ///< incremental only; opaque
  std::vector<std::string> ignored_options;  ///< keys of config.json that need not be the base model's
  friend bool operator==(const Publication&, const Publication&) = default;
};

struct Snapshot {
  Publication said;
  std::string run;
  std::int64_t step = 0;
  std::int64_t bytes = 0;  ///< 0 until it was verified
  SnapshotPhase phase = SnapshotPhase::published;
  TimePoint published_at{};
  TimePoint since{};   ///< entered the phase
  std::string reason;  ///< why it was rejected, failed or dropped; why it is not verified yet
  friend bool operator==(const Snapshot&, const Snapshot&) = default;

  [[nodiscard]] const Identity& identity() const { return said.identity; }
  [[nodiscard]] bool full() const { return said.kind == SnapshotKind::full; }
};

/// What the trainer is to write next.
struct SnapshotPlan {
  SnapshotKind kind = SnapshotKind::full;
  Identity identity;
  Identity parent;  ///< incremental only
  std::string run;
  std::int64_t step = 0;
  std::string reason;
  friend bool operator==(const SnapshotPlan&, const SnapshotPlan&) = default;
};

/// Empty, or what keeps the text from being a directory's name in every store.
std::string identity_fault(std::string_view text);

/// "full", "serving", ... as in JSON.
const char* to_string(SnapshotKind kind);
const char* to_string(SnapshotPhase phase);

}  // namespace ebb
