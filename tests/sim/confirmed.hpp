// What the ledger has confirmed of the control loop's records, kept apart from its file: a restart must find it there.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/model/record.hpp"

namespace ebb::sim {

class Confirmed {
 public:
  /// A decision that was to be recorded: `written` says what the ledger answered. What was refused may be found all the
  /// same: the disk may have failed after it was whole. Returns an outcome that the decision knows and the ledger has
  /// refused, which a restart would add to it once more; empty: none.
  std::string decided(const Decision& decision, bool written);
  void ended(const std::vector<Outcome>& outcomes, bool written);
  void told(const Event& event, bool written);

  /// The first thing a restart did not find, or found otherwise; empty: nothing.
  [[nodiscard]] std::string missing_in(const Recovered& found) const;
  /// What was found is what there is from now on.
  void restarted(const Recovered& found);

 private:
  struct End {
    Outcome outcome;
    Action action;
  };
  /// A state that may be found: of a decision, with what ended since.
  struct Version {
    State state;
    std::vector<End> ended;
    [[nodiscard]] State folded() const;
  };

  Version sure_;
  std::vector<Version> perhaps_;  ///< refused since the last record that was confirmed
  std::map<ActionId, Action> open_;
  std::set<ActionId> refused_;  ///< ended, and the ledger did not take it
  std::map<OverrideId, Override> words_;
  TimePoint latest_{};  ///< of all decisions: an override that ended before it may be gone
  bool fresh_ = true;
};

}  // namespace ebb::sim
