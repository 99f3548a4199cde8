#include "tests/sim/engines.hpp"

#include <algorithm>
#include <utility>

#include "tests/support/weights_report.hpp"

namespace ebb::sim {
namespace {

const DeploymentId kOurs("rl@pool");
const DeploymentId kAway("rl@away");
constexpr Duration kSecond{1'000};
// A look that is slower than the coordinator waits.
constexpr Duration kTooLate{20'000};

Error error_of(ErrorCode code, const char* what) { return {code, what, true}; }

bool lists(const std::vector<EngineAddress>& engines, const ReplicaId& name) {
  return std::any_of(engines.begin(), engines.end(), [&](const EngineAddress& one) { return one.replica == name; });
}

/// Counts while it lives; a crash takes its frame along.
struct Counted {
  explicit Counted(int& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  int& count_;
};

/// A fleet that Ebb drives engine by engine, or one that its vendor drives as a whole.
HotloadCapabilities drawn(Random& random, bool vendor) {
  HotloadCapabilities can;
  can.by_replica = !vendor;
  can.keeps_old_on_error = chance(random, vendor ? 0.7 : 0.3);
  can.pauses = !vendor && chance(random, 0.6);
  can.replays_chain = !vendor && chance(random, 0.6);
  can.incrementals_max = chance(random, 0.5) ? 0 : between(random, 3, 12);
  return can;
}

}  // namespace

Engines::Engines(SteppedClock& clock, Random& random, WeightsJudge& judge, bool with_away)
    : clock_(clock), random_(random), judge_(judge) {
  Site ours;
  ours.ours = true;
  ours.can = drawn(random_, chance(random_, 0.35));
  sites_[kOurs] = std::move(ours);
  if (!with_away) return;
  Site away;
  away.can = drawn(random_, chance(random_, 0.7));
  sites_[kAway] = std::move(away);
}

TimePoint Engines::soon(int low_s, int high_s) { return clock_.steady() + between(random_, low_s, high_s) * kSecond; }

void Engines::written(const Identity& identity) {
  Fate fate;
  fate.malformed = hit(0.03);
  fate.fails = hit(0.04);
  fate.crashes = hit(0.015);
  fate.whole_at = hit(0.01) ? TimePoint::max() : hit(0.06) ? soon(60, 1'200) : clock_.steady();
  store_[identity] = fate;
}

void Engines::born(Site& site, const ReplicaId& name) {
  Engine engine;
  engine.up_at = soon(0, 60);
  if (!site.can.by_replica) engine.catch_up_at = soon(60, 240);
  site.engines[name] = std::move(engine);
}

/// The process begins anew, with the weights it was built with.
void Engines::restart(Site& site, Engine& engine) {
  const int process = engine.process + 1;
  const bool leaves = engine.leaves;
  engine = Engine();
  engine.process = process;
  engine.leaves = leaves;
  engine.up_at = soon(5, 90);
  if (!site.can.by_replica) engine.catch_up_at = soon(60, 240);
}

void Engines::pass_minute() {
  advance();
  for (auto& [id, site] : sites_) {
    if (hit(0.004)) site.dark_until = soon(30, 900);
    if (hit(0.004)) site.slow_until = soon(30, 600);
    if (hit(0.002)) site.empty_until = soon(30, 400);
    for (auto& [name, engine] : site.engines) {
      if (hit(0.0008)) restart(site, engine);
      if (hit(0.001)) engine.unready_until = soon(30, 900);
    }
    if (site.ours) continue;
    // Somebody else scales these.
    if (site.engines.size() < 2 || hit(0.004)) born(site, ReplicaId("away-" + std::to_string(++born_)));
    if (site.engines.size() > 3 && hit(0.05)) site.engines.erase(site.engines.begin());
  }
}

void Engines::heal() {
  faults_on_ = false;
  for (auto& [identity, fate] : store_) fate = Fate();
  for (auto& [id, site] : sites_) {
    site.dark_until = site.slow_until = site.empty_until = TimePoint();
    for (auto& [name, engine] : site.engines) {
      engine.dies_at = TimePoint::max();
      engine.unready_until = TimePoint();
      if (!engine.applying.empty()) engine.applied_at = std::min(engine.applied_at, soon(30, 150));
    }
  }
}

void Engines::follow(const std::map<ReplicaId, Body>& bodies) {
  advance();
  Site& site = sites_.at(kOurs);
  for (const auto& [name, body] : bodies) {
    if (!body.rl) continue;
    const bool runs = body.phase == ReplicaPhase::ready || body.phase == ReplicaPhase::draining;
    if (runs && !site.engines.contains(name)) born(site, name);
    if (runs) site.engines.at(name).leaves = body.phase == ReplicaPhase::draining;
  }
  std::erase_if(site.engines, [&](const auto& entry) {
    const auto body = bodies.find(entry.first);
    return body == bodies.end() || body->second.phase == ReplicaPhase::gone;
  });
}

void Engines::advance() {
  for (auto& [id, site] : sites_) {
    for (auto& [name, engine] : site.engines) work(site, engine);
  }
}

void Engines::work(Site& site, Engine& engine) {
  const TimePoint now = clock_.steady();
  if (now >= engine.dies_at) restart(site, engine);
  if (!engine.applying.empty() && now >= engine.applied_at) apply(site, engine);
  if (now >= engine.catch_up_at && engine.applying.empty()) {
    engine.catch_up_at = TimePoint::max();
    if (site.offered.empty() || engine.held == site.offered) return;
    engine.held = site.offered;
    engine.whole = true;
    engine.failed = engine.lies = Identity();
  }
}

void Engines::apply(Site& site, Engine& engine) {
  const std::vector<Snapshot> path = std::exchange(engine.applying, {});
  const Identity before = engine.held;
  const Identity target = path.back().identity();
  engine.lies = Identity();
  for (const Snapshot& snapshot : path) {
    const Fate& fate = store_[snapshot.identity()];
    if (fate.crashes) {
      restart(site, engine);
      return;
    }
    const bool fits = snapshot.full() || (snapshot.said.parent == engine.held && engine.whole);
    if (fate.fails || !fits) {
      engine.failed = target;
      if (site.can.keeps_old_on_error) {
        engine.held = before;
      } else {
        engine.whole = false;
      }
      return;
    }
    engine.held = snapshot.identity();
    engine.whole = true;
  }
  engine.failed = Identity();
  if (hit(0.01)) engine.lies = Identity(target.value + "-not");
  if (!site.can.by_replica) site.offered = target;
}

WeightsReport Engines::report_of(const ReplicaId& name, const Engine& engine) const {
  WeightsReport report;
  report.replica = name;
  report.incarnation = std::to_string(engine.process);
  report.ready = clock_.steady() >= engine.unready_until;
  const Identity& told = engine.lies.empty() ? engine.held : engine.lies;
  if (!told.empty()) report.current = told;
  if (clock_.steady() < engine.stale_until) {
    report.stage = LoadStage::error;
    report.target = engine.stale;
    report.error = "of an older order";
  } else {
    test::say_loads(report, engine.applying, engine.failed);
  }
  return report;
}

awaitable<Result<HotloadSeen>> Engines::look(DeploymentId id, std::vector<EngineAddress> engines, TimePoint deadline) {
  judge_.looking(id);
  const bool slow = clock_.steady() < sites_.at(id).slow_until && chance(random_, 0.5);
  const TimePoint answered_at =
      slow ? deadline + kTooLate
           : clock_.now() + Duration{between(random_, 20, faults_on_ && chance(random_, 0.05) ? 4'500 : 200)};
  co_await clock_.sleep_until(answered_at);
  if (slow || clock_.steady() < sites_.at(id).dark_until) co_return error_of(ErrorCode::unreachable, "nobody answers");
  advance();
  HotloadSeen page;
  const Site& site = sites_.at(id);
  if (clock_.steady() >= site.empty_until) {
    for (const auto& [name, engine] : site.engines) {
      const bool asked = !site.can.by_replica || !site.ours || lists(engines, name);
      if (asked && clock_.steady() >= engine.up_at) page.replicas.push_back(report_of(name, engine));
    }
  }
  judge_.looked(id, page);
  co_return page;
}

awaitable<Status> Engines::stage(DeploymentId id, TimePoint deadline) {
  const double drawn = faults_on_ ? std::generate_canonical<double, 32>(random_) : 1;
  if (drawn < 0.01) {
    co_await clock_.sleep_until(deadline);
    co_return error_of(ErrorCode::timeout, "the puller does not answer");
  }
  const TimePoint done_at =
      clock_.now() + Duration{drawn < 0.1 ? between(random_, 10'000, 150'000) : between(random_, 100, 5'000)};
  co_await clock_.sleep_until(done_at);
  if (drawn < 0.05) co_return error_of(ErrorCode::unreachable, "no puller there");
  if (drawn < 0.06) co_return error_of(ErrorCode::invalid, "no such directory");
  if (clock_.steady() < sites_.at(id).dark_until) co_return error_of(ErrorCode::unreachable, "nobody answers");
  co_return Done();
}

void Engines::take(Engine& engine, const LoadOrder& order) {
  if (hit(0.05) && !engine.held.empty()) {
    engine.stale = Identity(engine.failed.empty() ? "an-older-one" : engine.failed.value);
    engine.stale_until = soon(10, 60);
  }
  engine.applying = order.path;
  engine.applied_at = hit(0.02) ? TimePoint::max() : soon(70, 160);
  engine.catch_up_at = TimePoint::max();
  engine.failed = Identity();
  if (hit(0.015)) engine.dies_at = soon(5, 150);
}

awaitable<Status> Engines::signal(LoadOrder order, TimePoint deadline) {
  const Counted under_way(signals_);
  judge_.signalling(order);
  const double drawn = faults_on_ ? std::generate_canonical<double, 32>(random_) : 1;
  const TimePoint at = clock_.now() + Duration{between(random_, 20, 2'000)};
  co_await clock_.sleep_until(at);
  const bool dark = clock_.steady() < sites_.at(order.deployment).dark_until;
  if (drawn < 0.03 || (dark && drawn < 0.5)) {
    co_await clock_.sleep_until(deadline);
    co_return error_of(ErrorCode::timeout, "no answer, and it got lost");
  }
  if (drawn < 0.07 || dark) co_return error_of(ErrorCode::unreachable, "connection refused");
  if (drawn < 0.10) co_return error_of(ErrorCode::throttled, "429");
  if (drawn < 0.11) co_return error_of(ErrorCode::invalid, "400");
  advance();
  Site& site = sites_.at(order.deployment);
  judge_.arrived(order);
  for (auto& [name, engine] : site.engines) {
    const bool named = std::binary_search(order.replicas.begin(), order.replicas.end(), name);
    const bool whole = !site.can.by_replica && !engine.leaves && clock_.steady() >= engine.up_at;
    if (named || whole) take(engine, order);
  }
  const TimePoint answer_at = clock_.now() + Duration{between(random_, 20, 1'000)};
  co_await clock_.sleep_until(answer_at);
  if (drawn < 0.15) {
    co_await clock_.sleep_until(deadline);
    co_return error_of(ErrorCode::timeout, "taken, but the answer was lost");
  }
  co_return Done();
}

awaitable<Status> Engines::pause(DeploymentId id, std::vector<EngineAddress> engines, TimePoint deadline, bool on) {
  if (on) {
    for (const EngineAddress& one : engines) judge_.pausing(id, one.replica);
  }
  const double drawn = faults_on_ ? std::generate_canonical<double, 32>(random_) : 1;
  const TimePoint at = clock_.now() + Duration{between(random_, 20, 5'000)};
  co_await clock_.sleep_until(at);
  Site& site = sites_.at(id);
  if (clock_.steady() < site.dark_until) co_return error_of(ErrorCode::unreachable, "nobody answers");
  // With a fault some of them hear of it and others do not.
  for (const EngineAddress& one : engines) {
    const auto found = site.engines.find(one.replica);
    if (found == site.engines.end() || (drawn < 0.05 && chance(random_, 0.5))) continue;
    if (on && !found->second.paused) found->second.paused_since = clock_.steady();
    found->second.paused = on;
  }
  if (drawn < 0.05) co_return error_of(ErrorCode::unreachable, "one of them does not answer");
  if (drawn < 0.07) {
    co_await clock_.sleep_until(deadline);
    co_return error_of(ErrorCode::timeout, "done, but the answer was lost");
  }
  co_return Done();
}

awaitable<Status> Engines::reset() {
  const TimePoint at = clock_.now() + kSecond;
  co_await clock_.sleep_until(at);
  if (hit(0.1)) co_return error_of(ErrorCode::unreachable, "nobody answers");
  co_return Done();
}

awaitable<Verdict> Engines::verify(Snapshot snapshot, TimePoint deadline) {
  const bool slow = hit(0.05);
  const TimePoint at = slow ? std::min(deadline, clock_.now() + between(random_, 30, 600) * kSecond)
                            : clock_.now() + Duration{between(random_, 50, 3'000)};
  co_await clock_.sleep_until(at);
  const Fate& fate = store_[snapshot.identity()];
  Verdict verdict;
  if (clock_.steady() < fate.whole_at || hit(0.03)) {
    verdict.reason = "a shard is missing";
    co_return verdict;
  }
  verdict.kind = fate.malformed ? Verdict::Kind::malformed : Verdict::Kind::verified;
  if (fate.malformed) verdict.reason = "truncated";
  verdict.bytes = snapshot.full() ? 1'000'000 : 50'000;
  if (!fate.malformed) judge_.verified(snapshot.identity());
  co_return verdict;
}

}  // namespace ebb::sim
