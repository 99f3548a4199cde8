#include "tests/sim/weights_books.hpp"

#include <algorithm>

namespace ebb::sim {
namespace {

int rank(SnapshotPhase phase) {
  switch (phase) {
    case SnapshotPhase::planned: return 0;
    case SnapshotPhase::published: return 1;
    case SnapshotPhase::verified: return 2;
    case SnapshotPhase::loading: return 3;
    default: return 4;
  }
}

}  // namespace

void WeightsBooks::accept(const Snapshot& snapshot, int limit, const Say& say) {
  const std::string name = snapshot.identity().value;
  const int number = ++count_;
  rows_[snapshot.identity()] = {SnapshotPhase::published, snapshot.full(), number};
  if (snapshot.full()) {
    last_full_ = number;
    since_full_ = 0;
    broken_ = false;
  } else {
    ++since_full_;
    if (say && broken_) say("I6: " + name + " is incremental where a full one was due");
    if (say && since_full_ > limit)
      say("I6: " + name + " is number " + std::to_string(since_full_) + " on top of a full one");
    if (say && (alive_.empty() || snapshot.said.parent != alive_.back()))
      say("I5: " + name + " was taken on top of " + snapshot.said.parent.value + ", which is not the newest");
    if (say && snapshot.run != run_) say("I6: the run " + snapshot.run + " begins with an incremental one");
  }
  run_ = snapshot.run;
  alive_.push_back(snapshot.identity());
}

void WeightsBooks::move(const Snapshot& snapshot, int limit, const Say& say) {
  const Identity& id = snapshot.identity();
  if (!rows_.contains(id)) accept(snapshot, limit, say);
  Row& row = rows_.at(id);
  if (rank(snapshot.phase) <= rank(row.phase)) return;
  const SnapshotPhase before = row.phase;
  row.phase = snapshot.phase;
  if (snapshot.phase == SnapshotPhase::loading) loading_ = id;
  if (rank(snapshot.phase) < rank(SnapshotPhase::serving)) return;
  if (loading_ == id) loading_ = Identity();
  if (snapshot.phase == SnapshotPhase::serving) {
    if (row.full) strays_.clear();
    served_.push_back(id);
    return;
  }
  alive_.erase(std::remove(alive_.begin(), alive_.end(), id), alive_.end());
  if (snapshot.phase == SnapshotPhase::dropped) return;
  if (before == SnapshotPhase::loading) strays_.insert(id);
  // A full one that was published after it is the new ground already.
  if (row.number >= last_full_) broken_ = true;
}

void WeightsBooks::enter(const WeightsRecord& record, int limit, const Say& say) {
  const bool resets = record.reset && record.reset->at != reset_at_;
  const int before = last_full_;
  if (resets) {
    reset_at_ = record.reset->at;
    served_.clear();
    strays_.clear();
    alive_.clear();
    loading_ = Identity();
  }
  // Beside a reset it is not said what came before it and what after.
  for (const Snapshot& snapshot : record.snapshots) move(snapshot, limit, resets ? Say() : say);
  if (resets && last_full_ == before) broken_ = true;
}

std::optional<SnapshotPhase> WeightsBooks::phase_of(const Identity& identity) const {
  const auto row = rows_.find(identity);
  if (row == rows_.end()) return std::nullopt;
  return row->second.phase;
}

bool WeightsBooks::is_over(const Identity& identity) const {
  const std::optional<SnapshotPhase> phase = phase_of(identity);
  return phase && rank(*phase) >= rank(SnapshotPhase::serving);
}

bool WeightsBooks::admissible(const Identity& held, int behind) const {
  if (held.empty()) return false;
  if (held == loading_ || strays_.contains(held)) return true;
  const auto at = std::find(served_.rbegin(), served_.rend(), held);
  return at != served_.rend() && at - served_.rbegin() <= behind;
}

}  // namespace ebb::sim
