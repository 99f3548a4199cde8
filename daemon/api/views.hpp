// What the API shows, as pure functions of the board. Internal to the API; docs/openapi.yaml describes the shapes.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "daemon/ports/control.hpp"

namespace ebb {

nlohmann::json status_view(const BoardView& view);
nlohmann::json pools_view(const BoardView& view);
nlohmann::json services_view(const BoardView& view);
nlohmann::json jobs_view(const BoardView& view);
nlohmann::json overrides_view(const BoardView& view);

/// Empty: all of them.
struct ReplicaFilter {
  std::string deployment;
  std::string phase;
};
/// What the coordinator knows of one replica's weights.
struct WeightsShown {
  std::string identity;  ///< empty: none that it knows of
  bool serves = false;   ///< they are good enough for rollouts (I8)
};
/// By job with snapshots, then by replica.
using JobsWeights = std::map<JobId, std::map<ReplicaId, WeightsShown>>;
/// Replicas that the fleets show, and those with a lease that no fleet shows (yet). Those that are gone are not listed.
nlohmann::json replicas_view(const BoardView& view, const ReplicaFilter& filter, const JobsWeights& weights);

/// In columns, since a browser draws columns; null where nothing is known. Points after `since`, thinned to at most
/// `max` of which the newest is one.
nlohmann::json history_view(const std::deque<HistoryPoint>& history, std::optional<TimePoint> since, std::size_t max);

/// A decision with its sentences in the order of the stages, for reading.
nlohmann::json explained(const nlohmann::json& decision);

}  // namespace ebb
