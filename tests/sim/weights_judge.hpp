// The model that judges how a simulated daemon brings weights to engines: its own books of what was published,
// recorded, signalled and shown, sharing nothing with the core but the names. What it finds is a violation of I5 to I9.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/ports/weights_ledger.hpp"
#include "tests/sim/judge.hpp"
#include "tests/sim/weights_books.hpp"
#include "tests/sim/weights_truth.hpp"
#include "tests/sim/world.hpp"

namespace ebb::sim {

class WeightsJudge {
 public:
  WeightsJudge(Judge& judge, SteppedClock& clock, const JobConfig& job) : judge_(judge), clock_(clock), job_(job) {}

  /// Called before anything else; both outlive the judge's use.
  void knows(const std::map<DeploymentId, Site>& sites, const Truth& truth) {
    sites_ = &sites;
    truth_ = &truth;
  }

  void daemon_started();
  void daemon_ended();
  /// A configuration is in force from the next pass on.
  void reloaded(const SnapshotsConfig& now);

  // ---- the ledger
  /// A record that was asked for: what the daemon believes from here on.
  void recording(const WeightsRecord& record);
  /// A record that is in the file.
  void recorded(const WeightsRecord& record);
  /// What a restart reads must be what was recorded last.
  void recovered(const std::map<JobId, JobWeights>& found);

  // ---- the engines
  void looking(const DeploymentId& id);
  void looked(const DeploymentId& id, const HotloadSeen& page);
  void pausing(const DeploymentId& id, const ReplicaId& name);
  void verified(const Identity& identity) { verified_.insert(identity); }
  /// The daemon gives the order; it may get lost yet.
  void signalling(const LoadOrder& order);
  /// It has arrived.
  void arrived(const LoadOrder& order);

  // ---- the loop
  /// What the daemon knows of its fleet from here on.
  void observed(const Observation& seen);
  void decided(const Observation& seen, const Decision& decision);
  /// Replicas that it takes for current.
  void standing(const std::set<ReplicaId>& current);

  // ---- the trainer
  /// A publication was answered with success.
  void published(const Publication& said);

  /// Every minute: no engine stands still for ever.
  void pass_minute();

  /// What became of a snapshot, as far as the daemon believes; nothing: it never heard of it.
  [[nodiscard]] std::optional<SnapshotPhase> phase_of(const Identity& identity) const {
    return believed_.phase_of(identity);
  }
  [[nodiscard]] int orders() const { return static_cast<int>(signalled_.size()); }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] std::uint64_t accepted() const { return accepted_; }

 private:
  /// What was shown of an engine last.
  struct Shown {
    std::string process;
    Identity current;
    bool ready = false;
    LoadStage stage = LoadStage::idle;
    Identity target;
    TimePoint at{};             ///< steady
    TimePoint process_since{};  ///< steady
  };
  /// An order that was taken and is not over.
  struct Open {
    std::string id;
    Identity target;
    std::map<ReplicaId, std::string> left;  ///< with the process at that time
    TimePoint since;                        ///< it arrived, steady
    TimePoint until;                        ///< wall
  };
  struct Look {
    TimePoint at;  ///< steady
    std::set<ReplicaId> leaving;
    bool counts;  ///< false: the fleet could not be read, so the daemon must not believe the answer
  };

  /// Somebody who took the order before could still say so.
  [[nodiscard]] bool is_remembered(const LoadOrder& order, const Site& site) const;
  /// The ledger says that it may serve; the whole truth for a life that has not looked yet.
  [[nodiscard]] bool is_recorded_as_current(const ReplicaId& name) const;
  void check_member(const LoadOrder& order, const Site& site, const ReplicaId& name);
  /// What the last record that was asked for says of a replica; null: nothing.
  [[nodiscard]] const ReplicaWeights* asked_of(const DeploymentId& id, const ReplicaId& name) const;
  /// A pass may still go by the configuration before.
  [[nodiscard]] bool is_reloaded_lately() const;
  /// A deployment's next order is given when the one before has come to an end, and that was said.
  void check_one_at_a_time(const WeightsRecord& record);
  void check_wave(const LoadOrder& order);
  /// With `ready_fraction` 1 a snapshot serves when everybody on whom that depends shows it.
  void check_ready(const Snapshot& snapshot, const JobWeights& state);
  void close_over(const DeploymentId& id, const HotloadSeen& page);
  /// Who leaves is at no order any more, whatever was shown of it.
  void close_for_leaving();
  [[nodiscard]] std::string story_of(const DeploymentId& id) const;
  [[nodiscard]] bool is_open(const DeploymentId& id) const;
  /// What is over by the time of a life stays over, whatever the next one takes the time to be.
  void forget_what_is_over();
  /// A wall clock that went back while nobody looked takes along what was timed by it, as the daemon does it.
  void rebase();
  [[nodiscard]] int limit() const;
  void say(const std::string& what) { judge_.say(what); }

  Judge& judge_;
  SteppedClock& clock_;
  const JobConfig& job_;
  const std::map<DeploymentId, Site>* sites_ = nullptr;
  const Truth* truth_ = nullptr;
  WeightsBooks durable_, believed_;
  std::optional<JobWeights> last_;   ///< the last state in the file
  std::optional<JobWeights> asked_;  ///< the last state that was to be recorded
  std::map<DeploymentId, std::map<ReplicaId, Shown>> shown_;
  std::map<DeploymentId, std::map<ReplicaId, TimePoint>> absent_;  ///< not listed any more, since, wall
  std::map<DeploymentId, Open> open_;
  std::map<DeploymentId, std::deque<Look>> looks_;
  std::map<DeploymentId, TimePoint> read_at_, readable_since_;  ///< steady
  std::map<std::string, TimePoint> given_;                      ///< orders, by when the daemon made them, wall
  std::map<ReplicaId, int> pausing_;                            ///< the process that was told to stand still
  std::map<std::string, std::map<ReplicaId, int>> signalled_;   ///< orders that arrived, with who took them
  std::set<Identity> verified_;
  std::map<Identity, Publication> words_;
  std::set<ReplicaId> told_, shown_leaving_;  ///< who leaves, as the daemon must know
  double unavailable_ = 1, unavailable_before_ = 1;
  bool on_policy_ = true;
  TimePoint reloaded_{};  ///< steady
  bool fleet_read_ = false;
  TimePoint started_{};  ///< steady
  TimePoint ended_{};    ///< the last life, wall
  std::uint64_t records_ = 0;
  std::uint64_t accepted_ = 0;
};

}  // namespace ebb::sim
