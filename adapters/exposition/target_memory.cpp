#include "adapters/exposition/target_memory.hpp"

#include <algorithm>

namespace ebb::exposition {

namespace {

constexpr std::size_t kPointsMax = 256;  // a window at 17 samples a second

/// A start time that both pages show and that is not the same any more.
bool reborn(const Counters& before, const Counters& now_seen) {
  return std::any_of(now_seen.begin(), now_seen.end(), [&](const auto& each) {
    const auto old = before.find(each.first);
    return old != before.end() && old->second != each.second;
  });
}

}  // namespace

void CounterTrack::take(const Counters& now_seen, bool restarted, TimePoint at) {
  if (now_seen.empty()) {
    *this = CounterTrack();
    return;
  }
  for (const auto& [series, value] : now_seen) {
    const auto before = last_.find(series);
    if (before == last_.end()) continue;
    total_ += restarted || value < before->second ? value : value - before->second;
  }
  last_ = now_seen;
  points_.push_back({at, total_});
  // One point older than the window stays: the rate is over at least the window, once there is one.
  while (points_.size() > kPointsMax || (points_.size() > 2 && points_[1].at <= at - kRateWindow)) points_.pop_front();
}

std::optional<double> CounterTrack::per_second() const {
  if (points_.size() < 2) return std::nullopt;
  const Point& first = points_.front();
  const Point& last = points_.back();
  const auto ms = static_cast<double>((last.at - first.at).count());
  if (ms <= 0) return std::nullopt;
  return (last.total - first.total) * 1e3 / ms;
}

void TargetMemory::take(const EngineSeen& seen, TimePoint at) {
  const bool restarted = reborn(births_, seen.births);
  tokens_.take(seen.tokens, restarted, at);
  requests_.take(seen.requests, restarted, at);
  busy_us_.take(seen.busy_us, restarted, at);
  const bool runs = seen.running.value.value_or(0) > 0;
  if (seen.progress.empty()) {
    moved_at_.reset();
  } else if (!moved_at_ || !runs || restarted || seen.progress != progress_) {
    moved_at_ = at;
  }
  progress_ = seen.progress;
  births_ = seen.births;
}

std::optional<double> TargetMemory::busy_requests() const {
  const std::optional<double> inside = busy_us_.per_second();
  if (!inside) return std::nullopt;
  return std::max(0.0, *inside) / 1e6;
}

Duration TargetMemory::flat_for(TimePoint at) const { return moved_at_ ? at - *moved_at_ : Duration{0}; }

}  // namespace ebb::exposition
