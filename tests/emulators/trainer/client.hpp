// The trainer's side of the daemon's native API. It outlives restarts of the daemon: what was not answered is asked
// again, which every one of these requests bears.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/emulators/common/http_client.hpp"

namespace ebb::emulator {

struct PlanAnswer {
  bool full = true;
  std::string identity;
  std::string previous_identity;
  std::string upload_url;
  std::string reason;
};

/// How a snapshot stands.
struct SnapshotAnswer {
  std::string phase;
  std::string reason;
  bool ended = false;
  int counted = 0;
};

/// A replica of the job that may take rollouts, says the daemon.
struct ServingReplica {
  std::string id;
  HostPort at;
};

/// What a replica answered a small prompt with.
struct RolloutAnswer {
  std::string identity;  ///< system_fingerprint
  std::string digest;    ///< weights_digest
};

class EbbClient {
 public:
  /// `patience_s`: how long a daemon may be away. `token`: empty for none.
  EbbClient(HostPort api, std::string job, std::string token, double patience_s);

  // Errors: `timeout` after `patience_s` without an answer, `conflict` and `invalid` as the daemon refused.
  awaitable<Result<PlanAnswer>> plan(std::string run, std::int64_t step);
  awaitable<Result<SnapshotAnswer>> publish(nlohmann::json body);
  /// Waits until it has ended, in long polls.
  awaitable<Result<SnapshotAnswer>> ended(std::string identity);
  awaitable<Result<std::vector<ServingReplica>>> serving();

  /// Requests that had to be sent again.
  [[nodiscard]] std::uint64_t retries() const { return retries_; }

 private:
  awaitable<Result<nlohmann::json>> ask(std::string method, std::string target, std::string body, double seconds);
  awaitable<Result<Answer>> once(std::string method, std::string target, std::string body, double seconds);

  HostPort api_;
  std::string job_;
  std::string token_;
  double patience_s_;
  std::uint64_t retries_ = 0;
};

/// One completion of a few tokens. Errors as of `fetch`; `unreachable` also for an engine that is leaving.
awaitable<Result<RolloutAnswer>> roll_out(HostPort at, std::string model, std::string prompt, double seconds);

}  // namespace ebb::emulator
