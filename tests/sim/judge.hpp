// The model that judges a simulated daemon: its own arithmetic over the truth, sharing nothing with the core but the
// names. What it finds is a violation of an invariant of the design, with the moment and the numbers.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"
#include "tests/sim/truth.hpp"

namespace ebb::sim {

class SimLedger;

class Judge {
 public:
  explicit Judge(const Config& config) : config_(config) {}

  /// Every sample, with the world as it is then.
  void observed(const Observation& seen, const Truth& truth, TimePoint steady);
  /// A decision that was taken on the last sample.
  void decided(const Observation& seen, const Decision& decision, TimePoint steady);
  /// Called by the fleet when a start arrives: recorded first? (I9), a name twice? (I4)
  void start_arrived(const Action& action, const ReplicaId& id, bool used, bool exists_in_view);
  void lease_lapsed(const ReplicaId& id, TimePoint steady);
  void renewed(const ReplicaId& id, const Truth& now, TimePoint steady);
  void daemon_started(TimePoint steady);
  void daemon_ended() { fleet_was_read_ = false; }
  /// An operator's word that is in force from now until then; false: taken back.
  void overridden(OverrideKind kind, bool set, TimePoint until_wall);
  /// Another configuration is in force; a decision under way may hold the one before.
  void reloaded(int headroom);
  void say(const std::string& what);

  [[nodiscard]] const std::string& violation() const { return violation_; }
  /// Of the choices of victims, and only where there were enough of them: mostly nobody knew what replicas work on.
  [[nodiscard]] bool mostly_blind() const { return chosen_blindly_ > 20 && chosen_by_loads_ < chosen_blindly_; }
  /// What the world was and what the daemon said of it, where the violation is one of a decision.
  [[nodiscard]] const std::string& story() const { return story_; }
  [[nodiscard]] std::uint64_t decisions() const { return decisions_; }

  const SimLedger* ledger = nullptr;
  bool ledger_works = true;

 private:
  /// GPUs that production must have at least, by what was readable, or by what it held.
  [[nodiscard]] int reserve() const;
  void judge_growth(const Observation& seen, const Decision& decision, TimePoint steady);
  void judge_reclaim(const Observation& seen, const Decision& decision, TimePoint steady);
  /// Production's own replicas: none that serves leaves while its load is unknown or needs it, and what it lacks is
  /// started where GPUs are free.
  void judge_production(const Observation& seen, const Decision& decision, TimePoint steady);
  /// Where the victim policy looks at them, nobody leaves who works on more than one that stays.
  void judge_victims(const Observation& seen, const Decision& decision);
  void judge_endings(const Observation& seen, const Decision& decision, TimePoint steady);

  const Config& config_;
  Truth truth_;  ///< at the last sample
  std::string violation_, story_;
  void tell(const Decision& decision);
  std::uint64_t decisions_ = 0;
  int headroom_ = 0, headroom_next_ = 0;  ///< of this decision, and of those after it
  TimePoint started_{};
  TimePoint fleet_read_since_{}, chat_known_at_{};
  bool fleet_was_read_ = false;
  std::map<ReplicaId, TimePoint> told_, last_told_;  ///< to leave, first and last
  std::map<ReplicaId, TimePoint> evicted_;           ///< first evicted
  std::map<ReplicaId, TimePoint> starting_since_;
  std::optional<TimePoint> production_short_since_;  ///< steady; it lacks replicas and none is started
  int chosen_by_loads_ = 0, chosen_blindly_ = 0;
  std::set<ReplicaId> serving_;                          ///< RL, as the last decision left it
  std::optional<TimePoint> freeze_until_, drain_until_;  ///< wall
};

}  // namespace ebb::sim
