#include "adapters/process/health.hpp"

#include <set>

#include "daemon/ports/gather.hpp"

namespace ebb::process {
namespace {

constexpr Duration kWait{150};
// An engine under load answers late, since the same event loop serves its requests: two seconds, three times.
constexpr Duration kProbeTimeout{2'000};
constexpr int kFailuresToUnhealthy = 3;
constexpr std::size_t kBodyMax = 1u << 20;

}  // namespace

const Health* HealthBook::of(const ReplicaId& replica) const {
  const auto found = known_.find(replica);
  return found == known_.end() ? nullptr : &found->second;
}

void HealthBook::recall(const ReplicaId& replica, TimePoint ready_since) {
  Health& health = known_[replica];
  if (health.was_ready) return;
  health.was_ready = true;
  health.ready_since = ready_since;
}

void HealthBook::enter(Health& health, bool good) const {
  if (good) {
    if (!health.ready_since) health.ready_since = clock_.now();
    health.was_ready = true;
    health.failures = 0;
    health.unhealthy_since.reset();
    return;
  }
  ++health.failures;
  if (!health.was_ready || health.failures < kFailuresToUnhealthy || health.unhealthy_since) return;
  health.unhealthy_since = clock_.now();
  health.ready_since.reset();
}

awaitable<bool> HealthBook::ask(std::shared_ptr<HealthBook> self, HealthTarget target) {
  HttpRequest request(target.url);
  request.timeout = kProbeTimeout;
  request.body_max = kBodyMax;
  const Result<HttpResponse> response = co_await self->http_.send(std::move(request));
  const auto found = self->known_.find(target.replica);
  if (found == self->known_.end()) co_return true;  // gone meanwhile
  found->second.asking = false;
  self->enter(found->second, response.ok() && response->status == 200);
  co_return true;
}

awaitable<void> HealthBook::probe(std::vector<HealthTarget> targets, Duration interval) {
  std::set<ReplicaId> named;
  std::vector<awaitable<bool>> questions;
  const TimePoint now = clock_.now();
  for (HealthTarget& target : targets) {
    named.insert(target.replica);
    Health& health = known_[target.replica];
    if (health.asking || now - health.asked_at < interval) continue;
    health.asking = true;
    health.asked_at = now;
    questions.push_back(ask(shared_from_this(), std::move(target)));
  }
  std::erase_if(known_, [&](const auto& entry) { return !named.contains(entry.first); });
  if (questions.empty()) co_return;
  co_await gather<bool>(clock_, std::move(questions), now + kWait);
}

}  // namespace ebb::process
