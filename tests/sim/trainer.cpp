#include "tests/sim/trainer.hpp"

#include <utility>

namespace ebb::sim {
namespace {

const JobId kJob("rl");
constexpr std::size_t kRemembered = 40;

}  // namespace

Trainer::Trainer(SteppedClock& clock, Random& random, Engines& engines, WeightsJudge& judge)
    : clock_(clock), random_(random), engines_(engines), judge_(judge) {}

Publication Trainer::named(const std::string& name, const Identity& parent) {
  Publication said;
  said.identity = Identity(name);
  said.parent = parent;
  said.kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
  said.run = run_;
  return said;
}

awaitable<void> Trainer::turn(Snapshots& daemon) {
  busy_ = true;
  // First it wants to know what became of its last words.
  if (faults_on_ && !unsure_ && chance(random_, 0.15)) {
    co_await blunder(daemon);
  } else {
    co_await honest(daemon);
  }
  busy_ = false;
}

awaitable<void> Trainer::honest(Snapshots& daemon) {
  if (unsure_) {
    // The same words again: taken once, however often they are said.
    Publication again = *unsure_;
    co_await publish(daemon, std::move(again));
    co_return;
  }
  if (faults_on_ && chance(random_, 0.02)) {
    run_ = "run-" + std::to_string(++runs_);
    step_ = -1;
  }
  std::optional<std::int64_t> step;
  if (chance(random_, 0.8)) step = step_ + 1;
  const Result<SnapshotPlan> plan = co_await daemon.plan(kJob, run_, step);
  if (!plan.ok()) co_return;
  const TimePoint written_at = clock_.now() + Duration{between(random_, 500, 20'000)};
  co_await clock_.sleep_until(written_at);
  Publication said = named(plan->identity.value, plan->parent);
  said.kind = plan->kind;
  said.step = plan->step;
  engines_.written(said.identity);
  co_await publish(daemon, std::move(said));
}

awaitable<void> Trainer::publish(Snapshots& daemon, Publication said) {
  unsure_ = said;
  Publication words = said;
  const Result<Snapshots::Published> answer = co_await daemon.publish(kJob, std::move(words));
  if (answer.ok()) {
    judge_.published(said);
    newest_ = said.identity;
    step_ = answer->snapshot.step;
    said_.push_back(said);
    if (said_.size() > kRemembered) said_.erase(said_.begin());
  }
  // What could not be recorded may be recorded yet.
  const bool open = !answer.ok() && answer.error().code != ErrorCode::conflict &&
                    answer.error().code != ErrorCode::invalid && answer.error().code != ErrorCode::throttled;
  if (!open) unsure_.reset();
}

awaitable<void> Trainer::blunder(Snapshots& daemon) {
  const Identity last = said_.empty() ? Identity("nothing") : said_.back().identity;
  const Identity older = said_.size() < 2 ? Identity("nothing") : said_[said_.size() / 2].identity;
  const std::string name = "own-" + std::to_string(++names_);
  Publication said = named(name, last);
  switch (between(random_, 0, 9)) {
    case 0: said.parent = older; break;  // a fork
    case 1: said.parent = Identity("somebody-elses"); break;
    case 2: said.step = std::max<std::int64_t>(0, step_ - 1); break;  // a rewind
    case 3: said.identity = Identity("a/b"); break;
    case 4: said.run = "run-" + std::to_string(++runs_); break;  // a new run that is not full
    case 5: said = named(name, Identity()); break;               // a full one that nobody asked for
    case 6:                                                      // incremental, whatever was planned
    case 7: break;
    case 8: {
      if (said_.empty()) co_return;
      said = said_.back();
      if (chance(random_, 0.5)) said.step = said.step.value_or(0) + 7;  // the same name for something else
      break;
    }
    default: {
      if (!chance(random_, 0.2)) co_return;
      (void)co_await daemon.reset(kJob, "sim");
      co_return;
    }
  }
  const bool again = !said_.empty() && said.identity == said_.back().identity;
  if (!again) engines_.written(said.identity);
  if (said.run && said.run != run_) {
    // Whether it is taken or not, it goes on in the new run.
    run_ = *said.run;
    step_ = -1;
  }
  co_await publish(daemon, std::move(said));
}

}  // namespace ebb::sim
