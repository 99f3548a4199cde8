// The rules of a job's chain: what the trainer is to write, what may be published, what ends and what that breaks.
// Pure; core/hotload loads what stands at its front.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/core/snapshot_table.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {

inline constexpr int kMostSinceFull = 30;             // I6
inline constexpr std::size_t kMostWaiting = 64;       // published and not ended; a trainer that is ahead by more waits
inline constexpr std::size_t kServedRemembered = 64;  // identities a replica may be found with

/// What the job's fleets and its kind of weights allow.
struct ChainRules {
  std::string no_incremental_why;  ///< empty: they can
  std::string why_full;            ///< empty, or why the fleets need a full one now
  int incrementals_max = kMostSinceFull;
};

/// `capabilities`: of every deployment of the job; the least of them rules.
ChainRules chain_rules(const SnapshotsConfig& config, const std::vector<HotloadCapabilities>& capabilities);

/// What the ledger knows beyond the chain.
struct Known {
  std::optional<Snapshot> same;  ///< a snapshot that has this identity already
  bool run_is_over = false;      ///< the run has published before, and another one since
};

/// The chain after a change, with every snapshot that the change has moved, for the ledger.
struct ChainStep {
  Chain chain;
  std::vector<Snapshot> changed;
  bool repeated = false;  ///< publishing: it was published before in the same words, nothing was done
};

/// Snapshots on top of the newest full one, waiting ones included.
int since_full(const Chain& chain);
/// The snapshot that the next one builds on; null: there is none.
const Snapshot* tip(const Chain& chain);
/// What replicas are to have: the one being loaded, else the newest that serves; null: nothing yet.
const Snapshot* target_of(const Chain& chain);
/// What brings weights `loaded` (empty: none of the chain's) to the target, oldest first; empty: it is there, or is
/// better left alone. The first is full or builds on `loaded`, each further one on the one before it (I5).
std::vector<Snapshot> path_to_target(const Chain& chain, const Identity& loaded);
/// Versions behind the newest that serves; nothing for weights that are none of the chain's.
std::optional<int> versions_behind(const Chain& chain, const Identity& loaded);

/// What the trainer is to write next; kept in the chain. Asked twice for the same step it says the same. Errors are
/// `conflict` (a rewind, a run that is over) or `invalid`.
Result<ChainStep> planned(Chain chain, const std::string& run, std::optional<std::int64_t> step,
                          const CadenceChoice& cadence, const ChainRules& rules, bool run_is_over);

/// Takes a publication into the chain. Errors: `invalid` for what can never be (a bad name, an incremental one where
/// the fleet cannot apply it), `conflict` for what does not fit the chain (rewind, fork, an identity that is taken, a
/// parent that is not the tip), `throttled` when too many wait.
Result<ChainStep> published(Chain chain, const Publication& said, const Known& known, const ChainRules& rules,
                            TimePoint now);

/// Something happened to a waiting snapshot. Unknown identities change nothing.
ChainStep after(Chain chain, const Identity& identity, SnapshotEvent event, const std::string& why, TimePoint now);

/// The ledger is reset: nothing of before counts, the next one is full.
ChainStep reset(Chain chain, TimePoint now);

}  // namespace ebb
