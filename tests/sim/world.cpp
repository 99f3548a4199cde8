#include "tests/sim/world.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

#include "tests/sim/engines.hpp"

namespace ebb::sim {
namespace {

const DeploymentId kChat("chat@pool");
const DeploymentId kRl("rl@pool");
constexpr Duration kStartUp{90'000};
constexpr Duration kDrain{45'000};
constexpr Duration kStale{600'000};
constexpr Duration kAhead{600'000};   // of a liar
constexpr Duration kTooLate{90'000};  // of a read: the next round comes before
constexpr int kPerReplica = 8;        // requests in flight, the policy's target

Error error_of(ErrorCode code, const char* what, bool retryable) {
  Error out;
  out.code = code;
  out.what = what;
  out.retryable = retryable;
  return out;
}

}  // namespace

World::World(const Config& config, SteppedClock& clock, Random& random, Judge& judge)
    : config_(config), clock_(clock), random_(random), judge_(judge) {}

void World::draw(ReadFault& fault, ReadFault last) {
  if (fault != ReadFault::none) {
    // Most faults pass within minutes; some outlast `blind_after`.
    if (chance(random_, 0.15)) fault = ReadFault::none;
  } else if (chance(random_, 0.02)) {
    fault = static_cast<ReadFault>(between(random_, 1, static_cast<int>(last)));
  }
}

void World::pass_minute() {
  if (chance(random_, 0.05)) truth_.load = between(random_, 0, 6 * kPerReplica);
  truth_.load = std::clamp(truth_.load + between(random_, -3, 3), 0, 6 * kPerReplica);
  if (chance(random_, 0.03)) truth_.ext_wants = between(random_, 0, 3);
  if (!faults_on_) return;
  draw(truth_.fleet, ReadFault::slow);
  draw(truth_.chat, ReadFault::lying);
  draw(truth_.ext, ReadFault::lying);
  if (chance(random_, 0.003)) meddle();
  for (auto& [id, body] : truth_.bodies) {
    if (body.phase == ReplicaPhase::gone || !chance(random_, 0.001)) continue;
    body.failed = body.phase != ReplicaPhase::draining;
    enter(body, ReplicaPhase::gone);
  }
}

void World::meddle() {
  const TimePoint now = clock_.steady();
  if (chance(random_, 0.5)) {
    if (truth_.bodies.empty()) return;
    const auto at = std::next(truth_.bodies.begin(), between(random_, 0, static_cast<int>(truth_.bodies.size()) - 1));
    end(at->first, false);
  } else if (free() > 0) {
    Body body;
    body.rl = chance(random_, 0.5);
    body.deployment = body.rl ? kRl : kChat;
    body.since = body.started_at = clock_.now();
    body.ready_at = now + kStartUp;
    body.renewed_at = now;
    truth_.bodies[ReplicaId("foreign-" + std::to_string(++foreign_))] = std::move(body);
  }
}

void World::heal() {
  faults_on_ = false;
  truth_.fleet = truth_.chat = truth_.ext = ReadFault::none;
  for (auto& [id, body] : truth_.bodies) {
    body.stubborn = false;
    body.immortal_until = TimePoint{};
    if (body.phase == ReplicaPhase::starting) body.ready_at = std::min(body.ready_at, clock_.steady() + kStartUp);
    if (body.phase == ReplicaPhase::draining) body.gone_at = std::min(body.gone_at, clock_.steady() + kDrain);
  }
}

void World::enter(Body& body, ReplicaPhase phase) {
  body.phase = phase;
  body.since = clock_.now();
}

void World::advance() {
  const TimePoint now = clock_.steady();
  for (auto& [id, body] : truth_.bodies) {
    if (body.phase == ReplicaPhase::starting && now >= body.ready_at) enter(body, ReplicaPhase::ready);
    if (body.phase == ReplicaPhase::draining && now >= body.gone_at) enter(body, ReplicaPhase::gone);
    const bool active = body.phase == ReplicaPhase::starting || body.phase == ReplicaPhase::ready;
    if (body.rl && active && now - body.renewed_at > config_.fleets.front().lease_ttl) {
      judge_.lease_lapsed(id, now);
      end(id, false);
    }
  }
  truth_.ext_held = std::min(truth_.ext_wants, truth_.ext_held + std::max(free(), 0));
  engines_->follow(truth_.bodies);
}

int World::free() const {
  return config_.pools.front().gpus.count - truth_.held(true) - truth_.held(false) - truth_.ext_held;
}

awaitable<Result<FleetSeen>> World::view() {
  advance();
  if (truth_.fleet == ReadFault::down) co_return error_of(ErrorCode::unreachable, "the fleet does not answer", true);
  if (truth_.fleet == ReadFault::slow) co_await clock_.sleep_until(clock_.now() + kTooLate);
  FleetSeen out;
  for (const auto& [id, body] : truth_.bodies) {
    ReplicaSeen seen;
    seen.id = id;
    seen.deployment = body.deployment;
    seen.phase = body.phase;
    seen.since = body.since;
    seen.started_at = body.started_at;
    seen.gpus = Gpus{1};
    seen.failed = body.failed;
    if (body.rl) seen.address = "http://" + id.value;
    out.replicas.push_back(std::move(seen));
  }
  co_return out;
}

void World::start(const Action& action, const ReplicaId& id, Fleet::Applied& out) {
  const bool exists = truth_.bodies.contains(id);
  judge_.start_arrived(action, id, ever_.contains(id), exists);
  if (exists) return;
  if (free() < 1) {
    out.not_started.push_back(id);
    out.detail = "no free slot";
    return;
  }
  ever_.insert(id);
  const TimePoint now = clock_.steady();
  Body body;
  body.deployment = action.deployment;
  body.rl = action.deployment != kChat;
  body.since = body.started_at = clock_.now();
  body.ready_at = faults_on_ && chance(random_, 0.05) ? TimePoint::max() : now + kStartUp;
  body.renewed_at = now;
  body.stubborn = faults_on_ && chance(random_, 0.1);
  if (faults_on_ && chance(random_, 0.05)) body.immortal_until = now + Duration{between(random_, 10, 120) * 60'000LL};
  truth_.bodies[id] = std::move(body);
}

void World::end(const ReplicaId& id, bool evict) {
  const auto found = truth_.bodies.find(id);
  if (found == truth_.bodies.end() || found->second.phase == ReplicaPhase::gone) return;
  Body& body = found->second;
  const TimePoint now = clock_.steady();
  const TimePoint gone_at = evict           ? std::max(now, body.immortal_until)
                            : body.stubborn ? TimePoint::max()
                                            : now + kDrain;
  if (body.phase != ReplicaPhase::draining) {
    enter(body, ReplicaPhase::draining);
    body.gone_at = gone_at;
  } else if (evict) {
    body.gone_at = std::min(body.gone_at, gone_at);
  }
}

Fleet::Applied World::take(const Action& action) {
  Fleet::Applied out;
  for (const ReplicaId& id : action.replicas) {
    if (action.kind == ActionKind::start)
      start(action, id, out);
    else
      end(id, action.kind == ActionKind::evict);
  }
  return out;
}

awaitable<Result<Fleet::Applied>> World::apply(Action action) {
  const bool start = action.kind == ActionKind::start;
  if (start) ++truth_.starting[action.deployment];
  const double drawn = faults_on_ ? std::generate_canonical<double, 32>(random_) : 1;
  if (drawn < 0.08) {
    const TimePoint late = clock_.now() + Duration{between(random_, 1, 200) * 1'000LL};
    co_await clock_.sleep_until(late);
  }
  if (start) --truth_.starting[action.deployment];
  if (drawn >= 0.08 && drawn < 0.11) co_return error_of(ErrorCode::conflict, "changed by somebody else", false);
  if (drawn >= 0.11 && drawn < 0.14) co_return error_of(ErrorCode::exhausted, "too many requests", true);
  if (drawn >= 0.14 && drawn < 0.17) co_return Fleet::Applied();  // accepted, and lost
  Fleet::Applied out = take(action);
  if (drawn >= 0.17 && drawn < 0.22) co_return error_of(ErrorCode::timeout, "done, but the answer was lost", true);
  co_return out;
}

Status World::renew(const std::vector<ReplicaId>& replicas) {
  for (const ReplicaId& id : replicas) {
    const auto found = truth_.bodies.find(id);
    if (found == truth_.bodies.end()) continue;
    judge_.renewed(id, truth_, clock_.steady());
    found->second.renewed_at = clock_.steady();
  }
  return Done{};
}

Status World::forget(const std::vector<ReplicaId>& replicas) {
  for (const ReplicaId& id : replicas) {
    const auto found = truth_.bodies.find(id);
    if (found != truth_.bodies.end() && found->second.phase == ReplicaPhase::gone) truth_.bodies.erase(found);
  }
  return Done{};
}

awaitable<WorkloadSeen> World::sample(bool external) {
  const ReadFault fault = external ? truth_.ext : truth_.chat;
  if (fault == ReadFault::slow) co_await clock_.sleep_until(clock_.now() + kTooLate);
  WorkloadSeen out;
  const TimePoint now = clock_.now();
  if (fault == ReadFault::down) {
    Missing why;
    why.why = "connection refused";
    why.since = now;
    out.signals["in_flight"].value = why;
    out.asked = why;
    out.held = why;
    co_return out;
  }
  const double part = fault == ReadFault::partial ? 0.5 : 1;
  Sample<double> load;
  load.value = (external ? truth_.ext_wants : truth_.load) * part;
  TimePoint taken_at = fault == ReadFault::stale ? now - kStale : now;
  if (fault == ReadFault::lying) {
    static constexpr double kNoNumbers[] = {std::numeric_limits<double>::quiet_NaN(),
                                            std::numeric_limits<double>::infinity(),
                                            -std::numeric_limits<double>::infinity()};
    const int drawn = between(random_, 0, 3);
    load.value = drawn < 3 ? kNoNumbers[drawn] : 0;
    if (drawn == 3) taken_at = now + kAhead;
  }
  load.taken_at = taken_at;
  out.signals["in_flight"].value = load;
  out.expected = 2;
  out.reported = fault == ReadFault::partial ? 1 : 2;
  if (external) {
    Sample<Replicas> asked, has;
    asked.value = Replicas{truth_.ext_wants};
    has.value = Replicas{truth_.ext_held};
    asked.taken_at = has.taken_at = taken_at;
    out.asked = asked;
    out.held = has;
  }
  co_return out;
}

void World::daemon_ended() { truth_.starting.clear(); }

}  // namespace ebb::sim
