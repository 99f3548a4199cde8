#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "daemon/model/record.hpp"
#include "daemon/model/result.hpp"

namespace ebb {

struct Config;

using boost::asio::awaitable;

/// Durable history. An append that returned success survives SIGKILL and power loss. Control thread; calls are
/// carried out in the order they were made.
class Ledger {
 public:
  virtual ~Ledger() = default;

  /// The decision with what it was made from, and one row per action of its plan, in one transaction.
  virtual awaitable<Status> record(const Observation& seen, const State& before, const Decision& decision,
                                   std::shared_ptr<const Config> config) = 0;
  virtual awaitable<Status> record(std::vector<Outcome> outcomes) = 0;
  /// Returns the event's sequence number.
  virtual awaitable<Result<std::uint64_t>> record(Event event) = 0;

  /// What a restart begins with. Call before the first record.
  virtual awaitable<Result<Recovered>> recover() = 0;

  /// A page of decisions as JSON (to_json(Decision)), newest first. `before`: only ticks below it; `since`: only at
  /// or after; `changed_only`: only those with a plan. At most 1,000.
  struct Page {
    std::optional<std::uint64_t> before;
    std::optional<TimePoint> since;
    int limit = 50;
    bool changed_only = false;
  };
  virtual awaitable<Result<std::vector<nlohmann::json>>> decisions(Page page) = 0;
  /// The newest decision at or before `at`; `not_found` when there is none. Likewise by tick.
  virtual awaitable<Result<nlohmann::json>> decision_at(TimePoint at) = 0;
  virtual awaitable<Result<nlohmann::json>> decision(std::uint64_t tick) = 0;
  /// Newest first.
  virtual awaitable<Result<std::vector<Event>>> events(std::uint64_t after_seq, int limit) = 0;
  virtual awaitable<Result<std::vector<ActionRow>>> actions(int limit) = 0;
};

}  // namespace ebb
