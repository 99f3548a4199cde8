// What a policy is: an object with options and one pure function. No clock, no I/O, no log, no randomness.
// A new policy is two files in capacity/, allocation/, growth/, victim/ or cadence/, and one line in registry.cpp.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/explanation.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/options.hpp"
#include "daemon/model/state.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {

inline constexpr std::size_t kMostMemory = 8'192;  // numbers; 64 KiB

// A full snapshot every 20 to 30: fewer links are wasted transfer, more are a long way for whoever joins.
inline constexpr int kFullEveryMin = 20;
inline constexpr int kFullEveryMax = 30;

// ---------------------------------------------------------------- capacity: how many replicas production needs

struct CapacityInput {
  const DeploymentId& deployment;
  const std::map<std::string, SignalSeen>& signals;  ///< after the freshness stage: what is old is Missing
  Replicas ready;                                    ///< production replicas that serve now
  Replicas min, max;                                 ///< the deployment's bounds; the stage clamps after the policy
  Duration reclaim;  ///< until RL's GPUs in its pool are free once that was decided: the longest drain, and a tick
  const PolicyMemory& memory;
  TimePoint now;
  Reading<Advice> advice{};  ///< what the policy's adviser answered; Missing where it has none
  Duration tick{0};          ///< from one decision to the next, where nothing calls for an early one
};

struct CapacityProposal {
  Replicas need;
  bool known = true;  ///< false: a signal it needs is Missing; `need` is then a lower bound only
  PolicyMemory memory;
  Explanation why;  ///< at least one step when `need` differs from the plain formula
};

/// What is wrong between a policy's options, for the loader to report where the option stands.
struct OptionProblem {
  std::string option;  ///< within the policy's mapping: "signals", "windows[0].from"
  std::string what;
  std::vector<std::string> involved{};  ///< further options the rule is about; nothing is said where one is broken
};

/// Whom a policy wants to be asked before every decision. The answer stands in the observation, since a policy has no
/// I/O; who asks is the observer.
struct AdviserSpec {
  std::vector<std::string> command;  ///< program and arguments
  std::string plugin;                ///< or a shared object, which ebb-plugin-host loads
  Duration deadline{0};
  friend bool operator==(const AdviserSpec&, const AdviserSpec&) = default;
};

/// A policy's memory carries a version that no other policy uses: what another one left behind is then ignored.
class CapacityPolicy {
 public:
  virtual ~CapacityPolicy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Shows its options; a loader writes them here once, before the policy is shared.
  virtual void options(OptionVisitor& visitor) = 0;
  /// Rules that one option's range cannot say; asked once, when the options are written.
  [[nodiscard]] virtual std::vector<OptionProblem> problems() const { return {}; }
  /// Names of the signals it reads, so that the loader can refuse a deployment whose sources lack one.
  [[nodiscard]] virtual std::vector<std::string> needs() const = 0;
  [[nodiscard]] virtual CapacityProposal propose(const CapacityInput& input) const = 0;
  /// Nothing: it decides from the signals alone.
  [[nodiscard]] virtual std::optional<AdviserSpec> adviser() const { return std::nullopt; }
  /// How long it looks back; growth after a start waits this long.
  [[nodiscard]] virtual Duration window() const { return Duration{0}; }
  /// The most numbers its memory holds, at most `kMostMemory`.
  [[nodiscard]] virtual std::size_t memory_size() const { return 0; }
};

// ---------------------------------------------------------------- allocation: slack of one pool between jobs

struct Claim {
  JobId job;
  double weight = 1;
  Replicas guarantee;  ///< served first, out of the slack
  Replicas cap;        ///< demand and bounds; never more than this
  Gpus gpus_per_replica;
  int priority = 0;  ///< higher goes first, where the policy looks at it
};

class AllocationPolicy {
 public:
  virtual ~AllocationPolicy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void options(OptionVisitor& visitor) = 0;
  /// Whole replicas per claim, in the order of the claims; their GPUs sum to at most `slack`.
  [[nodiscard]] virtual std::vector<Replicas> share(Gpus slack, const std::vector<Claim>& claims) const = 0;
};

// ---------------------------------------------------------------- growth: which slack is worth a start

struct GrowthInput {
  const PoolId& pool;
  Gpus slack;         ///< outside the reserve now, lent or not
  Duration start_up;  ///< the longest a serving RL replica of the pool took since it was decided; 0: none serves
  Duration drain;     ///< the longest drain of the pool's RL deployments
  const PolicyMemory& memory;
  TimePoint now;
  Duration tick{0};  ///< from one question to the next
};

struct GrowthProposal {
  Gpus lendable;  ///< RL may grow up to this; what it holds beyond stays
  PolicyMemory memory;
  Explanation why;
};

/// Asked for every pool at every tick, also while nothing wants to grow: it learns from what it sees.
class GrowthPolicy {
 public:
  virtual ~GrowthPolicy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void options(OptionVisitor& visitor) = 0;
  [[nodiscard]] virtual GrowthProposal propose(const GrowthInput& input) const = 0;
};

// ---------------------------------------------------------------- victim: who leaves first

struct Candidate {
  ReplicaId replica;
  LeasePhase phase = LeasePhase::serving;
  TimePoint started_at{};
  Duration start_took{0};  ///< from its start's decision until it first served; 0: not yet
  Gpus gpus{};
  std::optional<double> in_flight{};  ///< rollouts it works on; unknown where nobody counts them
  Duration age{0};                    ///< since its start was decided
  bool ill = false;                   ///< it fails its health checks
};

class VictimPolicy {
 public:
  virtual ~VictimPolicy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void options(OptionVisitor& visitor) = 0;
  /// True: it wants Candidate::in_flight, which a source of the job's deployments must then tell.
  [[nodiscard]] virtual bool looks_at_load() const { return false; }
  /// The candidates in the order in which they should leave.
  [[nodiscard]] virtual std::vector<Candidate> order(std::vector<Candidate> candidates) const = 0;
};

// ---------------------------------------------------------------- cadence: which snapshots are full

struct CadenceInput {
  int since_full = 0;                  ///< snapshots on top of the newest full one
  WeightsMeasures measures{};          ///< 0 where nothing was measured yet
  int full_every_max = kFullEveryMax;  ///< lower where a vendor bears fewer on top of a full one
};

struct CadenceChoice {
  int full_every = 1;  ///< every so many snapshots one is full; 1: all of them
  std::string why;
};

class CadencePolicy {
 public:
  virtual ~CadencePolicy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void options(OptionVisitor& visitor) = 0;
  /// The core keeps it within 1 and `full_every_max`.
  [[nodiscard]] virtual CadenceChoice choose(const CadenceInput& input) const = 0;
};

}  // namespace ebb
