// What loads weights in the simulated world: engines of the RL fleet's replicas, a further deployment that somebody
// else scales, and the store that the trainer writes to. This is the truth; the daemon sees what the faults let
// through.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/ports/hotload.hpp"
#include "daemon/ports/snapshot_verifier.hpp"
#include "tests/sim/truth.hpp"
#include "tests/sim/weights_judge.hpp"
#include "tests/sim/world.hpp"

namespace ebb::sim {

/// What is wrong with a snapshot that was written; drawn when it is.
struct Fate {
  bool malformed = false;  ///< the verifier finds out
  bool fails = false;      ///< engines find out
  bool crashes = false;    ///< and so does this one: whoever loads it begins anew
  TimePoint whole_at{};    ///< still being uploaded before, steady
};

class Engines {
 public:
  /// `away`: there is a further deployment.
  Engines(SteppedClock& clock, Random& random, WeightsJudge& judge, bool away);

  /// The deployments of the run, with what they can do.
  [[nodiscard]] const std::map<DeploymentId, Site>& sites() const { return sites_; }
  /// The trainer has written it.
  void written(const Identity& identity);

  /// A minute passes: faults come and go, replicas of others come and go.
  void pass_minute();
  void heal();
  /// An order is on its way, or its answer is: the moment at which a crash leaves most open.
  [[nodiscard]] bool is_signalled() const { return signals_ > 0; }
  /// The RL fleet's replicas as they are now.
  void follow(const std::map<ReplicaId, Body>& bodies);

  awaitable<Result<HotloadSeen>> look(DeploymentId id, std::vector<EngineAddress> engines, TimePoint deadline);
  awaitable<Status> stage(DeploymentId id, TimePoint deadline);
  awaitable<Status> signal(LoadOrder order, TimePoint deadline);
  awaitable<Status> pause(DeploymentId id, std::vector<EngineAddress> engines, TimePoint deadline, bool on);
  awaitable<Status> reset();
  awaitable<Verdict> verify(Snapshot snapshot, TimePoint deadline);

 private:
  [[nodiscard]] bool hit(double p) { return faults_on_ && chance(random_, p); }
  [[nodiscard]] TimePoint soon(int low_s, int high_s);
  void born(Site& site, const ReplicaId& name);
  void restart(Site& site, Engine& engine);
  void advance();
  void work(Site& site, Engine& engine);
  void apply(Site& site, Engine& engine);
  void take(Engine& engine, const LoadOrder& order);
  [[nodiscard]] WeightsReport report_of(const ReplicaId& name, const Engine& engine) const;

  SteppedClock& clock_;
  Random& random_;
  WeightsJudge& judge_;
  std::map<DeploymentId, Site> sites_;
  std::map<Identity, Fate> store_;
  bool faults_on_ = true;
  int born_ = 0;
  int signals_ = 0;  ///< under way
};

/// The daemon's adapter of one deployment.
class SimHotload final : public Hotload {
 public:
  SimHotload(Engines& engines, DeploymentId id) : engines_(engines), id_(std::move(id)) {}
  [[nodiscard]] HotloadCapabilities capabilities() const override { return engines_.sites().at(id_).can; }
  awaitable<Result<HotloadSeen>> look(std::vector<EngineAddress> who, TimePoint deadline) override {
    return engines_.look(id_, std::move(who), deadline);
  }
  awaitable<Status> stage(LoadOrder, std::vector<EngineAddress>, TimePoint deadline) override {
    return engines_.stage(id_, deadline);
  }
  awaitable<Status> signal(LoadOrder order, std::vector<EngineAddress>, TimePoint deadline) override {
    return engines_.signal(std::move(order), deadline);
  }
  awaitable<Status> pause(LoadOrder, std::vector<EngineAddress> who, TimePoint deadline) override {
    return engines_.pause(id_, std::move(who), deadline, true);
  }
  awaitable<Status> resume(std::vector<EngineAddress> who, TimePoint deadline) override {
    return engines_.pause(id_, std::move(who), deadline, false);
  }
  awaitable<Status> reset(TimePoint) override { return engines_.reset(); }

 private:
  Engines& engines_;
  DeploymentId id_;
};

class SimVerifier final : public SnapshotVerifier {
 public:
  explicit SimVerifier(Engines& engines) : engines_(engines) {}
  awaitable<Verdict> verify(Snapshot snapshot, std::optional<Snapshot>, TimePoint deadline) override {
    return engines_.verify(std::move(snapshot), deadline);
  }

 private:
  Engines& engines_;
};

}  // namespace ebb::sim
