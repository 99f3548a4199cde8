#include "policies/capacity/surge.hpp"

#include <algorithm>
#include <cmath>

#include "policies/capacity/falling_window.hpp"

namespace ebb {
namespace {

// Numbers: panic since (0: calm), panic need, count of bucket numbers, then per bucket its start, sum and count of
// loads, then the falling window of needs.
constexpr int kMemoryVersion = 2'001;
constexpr std::size_t kHeader = 3, kPerBucket = 3, kMostBuckets = 600;

double ms(TimePoint at) { return static_cast<double>(at.time_since_epoch().count()); }
double ms(Duration span) { return static_cast<double>(span.count()); }

struct Bucket {
  double start_ms = 0, sum = 0, count = 0;
};

double mean_since(const std::vector<Bucket>& buckets, double from_ms, double otherwise) {
  double sum = 0, count = 0;
  for (const Bucket& bucket : buckets) {
    if (bucket.start_ms <= from_ms) continue;
    sum += bucket.sum / bucket.count;
    count += 1;
  }
  return count > 0 ? sum / count : otherwise;
}

}  // namespace

struct Surge::Memory {
  double panic_ms = 0;
  double panic_need = 0;
  std::vector<Bucket> buckets;
  std::vector<double> delayed;

  [[nodiscard]] PolicyMemory written() const {
    PolicyMemory out{kMemoryVersion, {panic_ms, panic_need, static_cast<double>(buckets.size() * kPerBucket)}};
    for (const Bucket& b : buckets) out.numbers.insert(out.numbers.end(), {b.start_ms, b.sum, b.count});
    out.numbers.insert(out.numbers.end(), delayed.begin(), delayed.end());
    return out;
  }
};

void Surge::options(OptionVisitor& visitor) {
  constexpr Duration kSecond{1'000}, kHour{3'600'000};
  signal_options(visitor, signals_);
  headroom_option(visitor, headroom_);
  visitor.value({"stable_window", "The calm need follows the mean load of this long."}, stable_window_,
                {6 * kSecond, kHour});
  visitor.value({"panic_window_percent", "The surge is the mean load of this share of stable_window, percent."},
                panic_window_percent_, {1.0, 100.0});
  visitor.value({"panic_threshold_percent", "Panic begins when the surge needs this share of what is ready, percent."},
                panic_threshold_percent_, {110.0, 1'000.0});
  visitor.value({"max_scale_up_rate", "At most so many times what is ready at once."}, max_scale_up_rate_,
                {1.01, 1'000'000.0});
  visitor.value({"max_scale_down_rate", "At least the ready replicas divided by this."}, max_scale_down_rate_,
                {1.01, 1'000'000.0});
  visitor.value({"scale_down_delay", "The need falls only after it was lower for this long."}, scale_down_delay_,
                {Duration{0}, kHour});
}

std::size_t Surge::memory_size() const { return kHeader + (kMostBuckets + 1) * kPerBucket + kMostWindowNumbers; }

Surge::Memory Surge::read(const CapacityInput& input) const {
  Memory out;
  const std::vector<double>& n = input.memory.numbers;
  const bool ours = input.memory.version == kMemoryVersion && n.size() >= kHeader && n[2] >= 0 &&
                    n[2] <= static_cast<double>(n.size() - kHeader);
  const double now_ms = ms(input.now);
  if (!ours) {
    if (input.ready.count > 0) out = {now_ms, static_cast<double>(input.ready.count), {}, {}};
    return out;
  }
  // A panic that began in the future began before the clock was set back: it begins anew.
  out.panic_ms = std::min(n[0], now_ms);
  out.panic_need = n[1];
  const std::size_t end = kHeader + static_cast<std::size_t>(n[2]);
  for (std::size_t i = kHeader; i + kPerBucket <= end; i += kPerBucket) {
    const bool inside = n[i] > now_ms - ms(stable_window_) && n[i] <= now_ms;
    if (inside && n[i + 2] > 0) out.buckets.push_back({n[i], n[i + 1], n[i + 2]});
  }
  out.delayed.assign(n.begin() + static_cast<std::ptrdiff_t>(end), n.end());
  return out;
}

Replicas Surge::judged(const CapacityInput& input, Memory& memory, Explanation& why) const {
  const double now_ms = ms(input.now);
  const double newest = memory.buckets.back().sum / memory.buckets.back().count;
  // One, where none is ready: rates of nothing would keep it at nothing.
  const double ready = std::max(1, input.ready.count);
  const double most = std::ceil(max_scale_up_rate_ * ready);
  const double least = std::floor(input.ready.count / max_scale_down_rate_);
  const auto within = [&](double wanted) { return std::clamp(wanted, std::min(least, most), most); };
  const double panic_from = now_ms - ms(stable_window_) * panic_window_percent_ / 100;
  const double calm = whole_replicas(mean_since(memory.buckets, now_ms - ms(stable_window_), newest)).count;
  const double surge = whole_replicas(mean_since(memory.buckets, panic_from, newest)).count;

  if (surge / ready >= panic_threshold_percent_ / 100) {
    memory.panic_ms = now_ms;
  } else if (memory.panic_ms > 0 && now_ms - memory.panic_ms > ms(stable_window_)) {
    memory.panic_ms = memory.panic_need = 0;
  }
  const bool panic = memory.panic_ms > 0;
  double need = within(calm);
  if (panic) {
    memory.panic_need = std::max({memory.panic_need, need, within(surge)});
    need = memory.panic_need;
  }
  const Replicas out = whole_replicas(need);
  why.push_back({Stage::need,
                 panic ? "need.panic" : "need.calm",
                 input.deployment.value,
                 {{"calm", std::int64_t{static_cast<std::int64_t>(calm)}},
                  {"surge", std::int64_t{static_cast<std::int64_t>(surge)}},
                  {"window", stable_window_},
                  {"ready", std::int64_t{input.ready.count}},
                  {"need", std::int64_t{out.count}}}});
  return out;
}

CapacityProposal Surge::propose(const CapacityInput& input) const {
  CapacityProposal proposal;
  const Load load = load_of(input, signals_, headroom_);
  proposal.why = steps_of(load);
  proposal.known = load.known;
  proposal.need = whole_replicas(load.replicas);
  proposal.memory = input.memory;
  if (!load.known) return proposal;

  Memory memory = read(input);
  const double now_ms = ms(input.now);
  // Buckets of a second, as Knative's; longer where a window of an hour would need too many.
  const double bucket_ms = std::max(1'000.0, std::ceil(ms(stable_window_) / kMostBuckets));
  if (memory.buckets.empty() || now_ms - memory.buckets.back().start_ms >= bucket_ms) {
    memory.buckets.push_back({now_ms, load.replicas, 1});
  } else {
    memory.buckets.back().sum += load.replicas;
    memory.buckets.back().count += 1;
  }
  const Replicas need = judged(input, memory, proposal.why);
  FallingWindow delayed = falling_window(memory.delayed, need.count, input.now, scale_down_delay_);
  memory.delayed = std::move(delayed.kept);
  proposal.need = {static_cast<int>(delayed.largest)};
  if (proposal.need > need) {
    proposal.why.push_back({Stage::need,
                            "need.stabilised",
                            input.deployment.value,
                            {{"need", std::int64_t{need.count}},
                             {"kept", std::int64_t{proposal.need.count}},
                             {"window", scale_down_delay_}}});
  }
  proposal.memory = memory.written();
  return proposal;
}

}  // namespace ebb
