// What the coordinator of a job's snapshots decides, pure: from what the replicas report to what is signalled next.
// Like `decide` a straight list of stages, each of which appends what it changed and why.
//
//   reports   each replica's words move its weights (weights_table.hpp)
//   loads     each deployment's load is found accepted, reached, failed or overdue (load_table.hpp)
//   front     the snapshot at the front of the queue serves, or has failed (snapshot_table.hpp)
//   orders    idle deployments get their next order; I5 and I7 hold by construction of its path and its members
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/core/chain.hpp"
#include "daemon/core/load_table.hpp"
#include "daemon/core/weights_table.hpp"
#include "daemon/model/explanation.hpp"

namespace ebb {

/// What one pass over a job saw.
struct WeightsSeen {
  std::map<DeploymentId, Reading<HotloadSeen>> polls;  ///< of this pass; missing: it could not be read
  std::set<ReplicaId> leaving;                         ///< draining or ended: left out
  std::set<DeploymentId> growing;                      ///< a start has not been answered: no order until then
};

struct WeightsInput {
  const JobId& job;
  const SnapshotsConfig& config;
  const std::map<DeploymentId, HotloadCapabilities>& fleets;  ///< every deployment of the job
  const WeightsSeen& seen;
  int full_every;  ///< as the cadence has it now
  TimePoint now;
};

struct WeightsDraft {
  JobWeights state;
  std::vector<Snapshot> changed;
  std::vector<LoadNote> notes;
  Explanation why;
};

// The stages, in order; each has a file of its name, but for `reports` and `front` (hotload.cpp).
WeightsDraft reports(WeightsDraft draft, const WeightsInput& in);
WeightsDraft loads(WeightsDraft draft, const WeightsInput& in);
WeightsDraft front(WeightsDraft draft, const WeightsInput& in);
WeightsDraft orders(WeightsDraft draft, const WeightsInput& in);

/// All four.
WeightsDraft advance(JobWeights state, const WeightsInput& in);

/// Orders that are to be sent now, once the state is recorded: only to deployments that this pass has read, whose
/// replicas are still what the order was made for.
std::vector<LoadOrder> to_send(const JobWeights& state, const WeightsInput& in);

/// Replicas that we may have paused and that no order holds any more: they are to run again.
std::map<DeploymentId, std::vector<ReplicaId>> to_resume(const JobWeights& state);

/// How a signal that went out was answered: accepted, put_off, refused or unanswered. An answer to an order that is no
/// longer the deployment's changes nothing.
WeightsDraft answered(JobWeights state, const DeploymentId& deployment, const std::string& order, LoadEvent event,
                      const std::string& problem, const SnapshotsConfig& config, TimePoint now);

/// After a restart: what was being sent may have arrived, and the wall clock may have gone back.
WeightsDraft recovered(JobWeights state, TimePoint now);

/// A reset: the chain is forgotten, and no replica's weights belong to it any more.
WeightsDraft reset(JobWeights state, TimePoint now);

/// A publication was taken: intervals and joins are counted by it.
WeightsMeasures measured_publication(WeightsMeasures measures, TimePoint now);
/// A snapshot was verified, and is so long.
WeightsMeasures measured_size(WeightsMeasures measures, SnapshotKind kind, std::int64_t bytes);

/// Whether the replica may work on rollouts (I8).
bool may_serve(const Chain& chain, const ReplicaWeights& replica, const SnapshotsConfig& config,
               const HotloadCapabilities& fleet);

/// Of a fleet that is told as a whole: it cannot take an increment, for it failed, or its vendor has not brought it up
/// to date within `catch_up_timeout`, counted from `from` at the earliest.
bool is_stuck(const ReplicaWeights& replica, const SnapshotsConfig& config, TimePoint from, TimePoint now);

/// Empty, or why the fleets can be helped by nothing but a full snapshot: one that is told as a whole cannot bring a
/// single replica up to date, neither one that failed nor one that its vendor has not brought up in time.
std::string full_wanted(const JobWeights& state, const std::map<DeploymentId, HotloadCapabilities>& fleets,
                        const SnapshotsConfig& config, TimePoint now);

/// Snapshots that somebody still needs: the chain that newcomers load, what waits, and what orders carry. All others
/// may leave the store.
std::set<Identity> needed(const JobWeights& state);

/// Whether its deployment has an order under way: growth waits for it (I7).
bool is_loading(const DeploymentWeights& deployment);

/// Pause before try `failures + 1`.
Duration retry_pause(int failures, const SnapshotsConfig& config);

// ---------------------------------------------------------------- for the stages

/// It shows an error, and its fleet does not promise that what it names as loaded is still whole.
bool is_in_doubt(const WeightsReport& report, const HotloadCapabilities& fleet);
/// The target is loaded. That its name is shown is not enough: who failed may be told to load what it names already.
bool holds(const WeightsReport& report, const Identity& target, const HotloadCapabilities& fleet);
/// Moves a replica's weights and says so, when the table moves them.
void move_weights(WeightsDraft& draft, const DeploymentId& deployment, const ReplicaId& id, ReplicaWeights& replica,
                  WeightsEvent event, const std::string& detail, TimePoint now);
/// Moves a load and says so; from there to idle it is empty.
void move_load(WeightsDraft& draft, const DeploymentId& deployment, HotLoad& load, LoadEvent event,
               const std::string& detail, TimePoint now);
/// Applies a chain event to the draft.
void move_chain(WeightsDraft& draft, const Identity& identity, SnapshotEvent event, const std::string& why,
                TimePoint now);
/// The replica's report of this pass; null: none.
const WeightsReport* report_of(const WeightsInput& in, const DeploymentId& deployment, const ReplicaId& id);

}  // namespace ebb
