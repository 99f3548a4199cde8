// A job's weights as trainers and operators see them. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "config/config.hpp"
#include "daemon/ports/snapshots.hpp"
#include "daemon/ports/weights_ledger.hpp"

namespace ebb {

/// A snapshot without its replicas.
nlohmann::json snapshot_view(const JobId& job, const Snapshot& snapshot);
/// The same with every replica's progress towards it.
nlohmann::json progress_view(const JobId& job, const Snapshot& snapshot, const WeightsView& weights,
                             const SnapshotsConfig& config);
nlohmann::json load_view(const LoadRow& row);

/// Fireworks' status of a deployment. Its public client looks at the first replica only and gives up on an empty list,
/// so the least advanced one stands first, newcomers that are still catching up are left out, and without any replica
/// one parked entry stands for the job. `newest`: the newest publication; null before the first.
nlohmann::json wire_status_view(const WeightsView& weights, const Snapshot* newest);
/// Fireworks' ledger: `snapshots` newest first, `loads` of them in any order.
nlohmann::json wire_ledger_view(const std::vector<SnapshotRow>& snapshots, const std::vector<LoadRow>& loads);

}  // namespace ebb
