// Looks at a published snapshot in its store: are all files there, whole, and what the publication says they are?
//
//   list -> config.json, index -> first bytes of every file (kReadsAtOnce at a time) -> verdict
//
// What is missing is waited for. What is wrong for good depends on the store: where files appear whole (S3) a damaged
// one stays damaged, and the snapshot is malformed at once, so that the trainer's next one is full; in a directory its
// writer may still be at it, and it is waited for like a missing one.
#pragma once

#include <deque>
#include <memory>

#include "daemon/core/snapshot_files.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/snapshot_store.hpp"
#include "daemon/ports/snapshot_verifier.hpp"

namespace ebb {

class StoreVerifier final : public SnapshotVerifier {
 public:
  /// `adapter`: snapshots are LoRA adapters. `clock` must outlive the io_context.
  StoreVerifier(std::shared_ptr<SnapshotStore> store, bool adapter, Clock& clock);

  awaitable<Verdict> verify(Snapshot snapshot, std::optional<Snapshot> parent, TimePoint deadline) override;

  struct Memory;

 private:
  std::shared_ptr<SnapshotStore> store_;
  const bool adapter_;
  Clock& clock_;
  std::shared_ptr<Memory> memory_;  ///< shared with looks that a deadline has left behind
};

}  // namespace ebb
