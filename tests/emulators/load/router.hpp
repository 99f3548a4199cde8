// What a router in front of the replicas does: knows who is ready, sends to the least busy, avoids who just refused.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"
#include "tests/emulators/common/http_client.hpp"
#include "tests/emulators/common/tasks.hpp"

namespace ebb::emulator {

struct ListedReplica {
  HostPort at;
  std::string id;
  friend auto operator<=>(const ListedReplica&, const ListedReplica&) = default;
};

/// The serving replicas of `deployment` ("chat" also means "chat@pool") in an answer of GET /v1/replicas, by address.
/// Items it does not understand are passed over; an answer that is no list is an error.
Result<std::vector<ListedReplica>> listed_from(std::string_view json, const std::string& deployment);
/// Their addresses.
Result<std::vector<HostPort>> replicas_from(std::string_view json, const std::string& deployment);

/// No clock and no I/O: times come in, choices go out.
class Router {
 public:
  /// Replaces the list. Counts of those that stay are kept.
  void set_endpoints(std::vector<HostPort> endpoints);
  [[nodiscard]] const std::vector<HostPort>& endpoints() const { return endpoints_; }
  /// The endpoint with the fewest in flight that is not avoided at `now`; the first of equals is the one used least
  /// recently. Nothing when there is none.
  std::optional<HostPort> pick(double now);
  void began(const HostPort& to);
  void ended(const HostPort& to);
  /// It refused: leave it alone until `until`.
  void avoid(const HostPort& to, double until);
  [[nodiscard]] int in_flight(const HostPort& to) const;
  [[nodiscard]] bool knows(const HostPort& to) const;

 private:
  struct Load {
    int in_flight = 0;
    double avoid_until = 0;
    std::uint64_t last_used = 0;
  };
  std::vector<HostPort> endpoints_;
  std::map<HostPort, Load> loads_;
  std::uint64_t uses_ = 0;
};

/// Where a load generator finds its replicas.
struct DiscoveryConfig {
  std::string api;  ///< Ebb's base URL; empty: `targets` for good
  std::string deployment;
  std::vector<std::string> targets;
  double every_s = 0.2;
};

/// Keeps a router's list current. While the API does not answer the last list stands: replicas outlive the daemon.
class Discovery {
 public:
  Discovery(DiscoveryConfig config, Router& router, Signal& changed);
  /// Checks the configuration and applies a static list.
  Status prepare();
  /// Polls until `stop`.
  awaitable<void> run();
  void stop() { stopped_ = true; }
  [[nodiscard]] int failures() const { return failures_; }
  /// The id of the replica that was last listed there; empty: never.
  [[nodiscard]] std::string name_of(const HostPort& at) const;

 private:
  awaitable<void> poll();
  DiscoveryConfig config_;
  Router& router_;
  Signal& changed_;
  HostPort api_;
  std::map<HostPort, std::string> names_;
  int failures_ = 0;
  bool stopped_ = false;
};

}  // namespace ebb::emulator
