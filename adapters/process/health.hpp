// Whether the engines answer. Keeps the last word on each; asks all of them at once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/http_client.hpp"

namespace ebb::process {

struct HealthTarget {
  ReplicaId replica;
  std::string url;
};

/// What is known of one replica's health.
struct Health {
  std::optional<TimePoint> ready_since;      ///< of the present good spell
  std::optional<TimePoint> unhealthy_since;  ///< three probes in a row have failed
  bool was_ready = false;
  int failures = 0;  ///< in a row
  bool asking = false;
  TimePoint asked_at{};
};

/// Control thread. Lives as long as a probe is under way.
class HealthBook : public std::enable_shared_from_this<HealthBook> {
 public:
  HealthBook(HttpClient& http, Clock& clock) : http_(http), clock_(clock) {}

  /// Probes what is due and returns when all have answered, after 150 ms at the latest: engines on this host answer
  /// in a few, and one that hangs must not hold up the view of the others. Forgets replicas that are not named.
  awaitable<void> probe(std::vector<HealthTarget> targets, Duration interval);
  /// Null when never probed.
  [[nodiscard]] const Health* of(const ReplicaId& replica) const;
  /// A replica that was seen ready in an earlier run of the daemon.
  void recall(const ReplicaId& replica, TimePoint ready_since);

 private:
  static awaitable<bool> ask(std::shared_ptr<HealthBook> self, HealthTarget target);
  void enter(Health& health, bool good) const;

  HttpClient& http_;
  Clock& clock_;
  std::map<ReplicaId, Health> known_;
};

}  // namespace ebb::process
