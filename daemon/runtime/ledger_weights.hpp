// How the history of weights is written and read. Blocking; on the thread that owns the connection.
//
//   weights    one row a job: everything the coordinator remembers, replaced with whatever changed it. The intent to
//              signal is in it before the signal goes out; an order without an answer is found here after a crash.
//   snapshots  one row a publication; its phase moves with it
//   loads      one row for each transition of a load or of a replica's weights
//   resets     one row each
#pragma once

#include <map>
#include <vector>

#include "daemon/ports/weights_ledger.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

Status write_weights(Database& db, const WeightsRecord& record);
Result<std::map<JobId, JobWeights>> read_weights(Database& db);
Result<Known> read_known(Database& db, const JobId& job, const Identity& identity, const std::string& run);
Result<std::vector<SnapshotRow>> read_snapshots(Database& db, const WeightsPage& page);
Result<std::vector<LoadRow>> read_loads(Database& db, const WeightsPage& page);

}  // namespace ebb
