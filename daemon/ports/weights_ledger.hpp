#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/chain.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {

using boost::asio::awaitable;

/// A reset of a job's ledger, for the record.
struct WeightsReset {
  TimePoint at{};
  std::string by;
  friend bool operator==(const WeightsReset&, const WeightsReset&) = default;
};

/// What one change of a job's weights leaves behind; all of it or nothing.
struct WeightsRecord {
  JobId job;
  TimePoint at{};
  JobWeights state;
  std::vector<Snapshot> snapshots;  ///< new ones, and those that moved
  std::vector<LoadNote> notes;
  std::optional<WeightsReset> reset;

  WeightsRecord() {}  // NOLINT(modernize-use-equals-default)
};

struct SnapshotRow {
  std::int64_t seq = 0;  ///< grows with every publication of any job
  Snapshot snapshot;
};
struct LoadRow {
  std::int64_t seq = 0;
  LoadNote note;
};

/// A page, newest first: only rows below `before`, at most 1,000.
struct WeightsPage {
  JobId job;
  std::optional<std::int64_t> before;
  std::optional<Identity> identity;  ///< loads only: of this snapshot
  int limit = 50;

  explicit WeightsPage(JobId whose) : job(std::move(whose)) {}
};

/// The history of weights. A record that returned success survives SIGKILL and power loss. Control thread; calls are
/// carried out in the order they were made.
class WeightsLedger {
 public:
  virtual ~WeightsLedger() = default;

  virtual awaitable<Status> record_weights(WeightsRecord record) = 0;
  /// What a restart begins with, by job.
  virtual awaitable<Result<std::map<JobId, JobWeights>>> recover_weights() = 0;
  /// Whether the identity is taken, and whether the run has published before.
  virtual awaitable<Result<Known>> known(JobId job, Identity identity, std::string run) = 0;
  virtual awaitable<Result<std::vector<SnapshotRow>>> snapshots(WeightsPage page) = 0;
  virtual awaitable<Result<std::vector<LoadRow>>> loads(WeightsPage page) = 0;
};

}  // namespace ebb
