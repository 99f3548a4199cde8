// The judge's own history of a job's publications, kept from the rows that the ledger is given.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/ports/weights_ledger.hpp"

namespace ebb::sim {

/// A plain value: the books of what is in the file replace those of what was believed when the daemon ends.
class WeightsBooks {
 public:
  using Say = std::function<void(const std::string&)>;

  /// Rows that could not be written come again with the next try, and change nothing. Publications that break the chain
  /// (I5) or the cadence (I6) are told to `say`, where there is one. `limit`: incremental snapshots on top of a full
  /// one.
  void enter(const WeightsRecord& record, int limit, const Say& say);

  /// Nothing: never heard of.
  [[nodiscard]] std::optional<SnapshotPhase> phase_of(const Identity& identity) const;
  /// It serves, or never will.
  [[nodiscard]] bool is_over(const Identity& identity) const;
  /// An engine that holds these may serve: the newest but `behind` that served, the front, or a stray of it.
  [[nodiscard]] bool admissible(const Identity& held, int behind) const;

 private:
  struct Row {
    SnapshotPhase phase;
    bool full;
    int number;
  };
  void move(const Snapshot& snapshot, int limit, const Say& say);
  void accept(const Snapshot& snapshot, int limit, const Say& say);

  std::map<Identity, Row> rows_;
  std::vector<Identity> alive_;   ///< accepted and not ended badly, oldest first, since the last reset
  std::vector<Identity> served_;  ///< oldest first, since the last reset
  std::set<Identity> strays_;     ///< failed since the last full one that serves
  Identity loading_;              ///< the front, signalled and not ended
  std::string run_;
  int count_ = 0, last_full_ = 0, since_full_ = 0;
  bool broken_ = true;  ///< the next one is full
  TimePoint reset_at_{};
};

}  // namespace ebb::sim
