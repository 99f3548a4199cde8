#include "daemon/api/views.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "daemon/model/json.hpp"

namespace ebb {
namespace {

using nlohmann::json;

double seconds(Duration span) { return static_cast<double>(span.count()) / 1000; }

json time_or_null(TimePoint at) { return at == TimePoint{} ? json() : json(to_iso(at)); }

json alarms_of(const BoardView& view) {
  json out = json::array();
  if (view.decision == nullptr) return out;
  for (const Alarm& alarm : view.decision->alarms) {
    json one = json::object();
    one["rule"] = alarm.rule;
    one["subject"] = alarm.subject;
    out.push_back(std::move(one));
  }
  return out;
}

json reading_json(const Reading<double>& reading) {
  json out = json::object();
  if (const auto* sample = reading.sample()) {
    out["value"] = sample->value;
    out["at"] = to_iso(sample->taken_at);
  } else {
    out["missing"] = reading.missing()->why;
    out["since"] = time_or_null(reading.missing()->since);
  }
  return out;
}

/// Configured bounds and this tick's numbers; zeros and known=false before the first decision.
json deployment_json(const DeploymentConfig& deployment, const BoardView& view) {
  DeploymentSummary numbers;
  numbers.known = false;
  if (view.decision != nullptr) {
    const auto found = view.decision->deployments.find(deployment.id);
    if (found != view.decision->deployments.end()) numbers = found->second;
  }
  json out = to_json(numbers);
  out["id"] = deployment.id.value;
  out["pool"] = deployment.pool.value;
  out["fleet"] = deployment.fleet.value;
  out["gpus_per_replica"] = deployment.gpus_per_replica.count;
  out["min"] = deployment.min.count;
  out["max"] = deployment.max.count;
  return out;
}

json signals_json(const DeploymentId& id, const BoardView& view) {
  json out = json::object();
  if (view.seen == nullptr) return out;
  const auto found = view.seen->workloads.find(id);
  if (found == view.seen->workloads.end()) return out;
  for (const auto& [name, signal] : found->second.signals) {
    json one = reading_json(signal.value);
    if (signal.at_least) one["at_least"] = *signal.at_least;
    out[name] = std::move(one);
  }
  return out;
}

json demand_json(const JobConfig& job, const BoardView& view) {
  static constexpr std::array kKinds{"unlimited", "api", "metric"};
  json out = json::object();
  if (view.state != nullptr) {
    const auto said = view.state->demand.find(job.name);
    if (said != view.state->demand.end() && said->second.expires_at > view.now) out = to_json(said->second);
  }
  out["kind"] = kKinds.at(static_cast<std::size_t>(job.demand));
  if (view.seen == nullptr) return out;
  const auto metric = view.seen->demand.find(job.name);
  if (metric != view.seen->demand.end()) out["metric"] = reading_json(metric->second);
  return out;
}

}  // namespace

json status_view(const BoardView& view) {
  json out = json::object();
  out["at"] = to_iso(view.now);
  out["version"] = view.version;
  out["mode"] = view.config->mode == Mode::act ? "act" : "advise";
  out["started_at"] = to_iso(view.started_at);
  out["uptime_s"] = seconds(view.now - view.started_at);
  out["config_hash"] = view.config->hash;
  out["tick_s"] = seconds(view.config->tick);
  json reload = json::object();
  reload["ok"] = view.reload.ok;
  reload["at"] = time_or_null(view.reload.at);
  reload["problems"] = view.reload.problems;
  out["reload"] = std::move(reload);
  json ledger = json::object();
  ledger["ok"] = view.ledger_ok;
  ledger["problem"] = view.ledger_problem;
  out["ledger"] = std::move(ledger);
  out["ready"] = view.ready;
  out["not_ready_why"] = view.not_ready_why;
  out["tick"] = view.decision == nullptr ? 0 : view.decision->tick;
  out["decided_at"] = view.decision == nullptr ? json() : json(to_iso(view.decision->at));
  out["pools"] = json::object();
  if (view.decision != nullptr) {
    for (const auto& [id, pool] : view.decision->pools) out["pools"][id.value] = to_json(pool);
  }
  out["alarms"] = alarms_of(view);
  out["overrides"] = overrides_view(view).at("overrides").size();
  return out;
}

json pools_view(const BoardView& view) {
  json list = json::array();
  for (const PoolConfig& pool : view.config->pools) {
    PoolSummary numbers;
    numbers.gpus = pool.gpus;
    numbers.blind = true;
    if (view.decision != nullptr) {
      const auto found = view.decision->pools.find(pool.name);
      if (found != view.decision->pools.end()) numbers = found->second;
    }
    json one = to_json(numbers);
    one["name"] = pool.name.value;
    one["headroom"] = pool.headroom.count;
    one["allocation"] = pool.allocation == nullptr ? "" : std::string(pool.allocation->name());
    list.push_back(std::move(one));
  }
  json out = json::object();
  out["pools"] = std::move(list);
  return out;
}

json services_view(const BoardView& view) {
  json list = json::array();
  for (const ServiceConfig& service : view.config->services) {
    json one = json::object();
    one["name"] = service.name.value;
    one["owner"] = service.owner == Owner::ebb ? "ebb" : "external";
    one["model"] = service.model;
    one["capacity"] = service.capacity == nullptr ? "" : std::string(service.capacity->name());
    one["deployments"] = json::array();
    for (const DeploymentConfig& deployment : service.deployments) {
      json d = deployment_json(deployment, view);
      d["signals"] = signals_json(deployment.id, view);
      one["deployments"].push_back(std::move(d));
    }
    list.push_back(std::move(one));
  }
  json out = json::object();
  out["services"] = std::move(list);
  return out;
}

json jobs_view(const BoardView& view) {
  json list = json::array();
  for (const JobConfig& job : view.config->jobs) {
    json one = json::object();
    one["name"] = job.name.value;
    one["model"] = job.model;
    one["weight"] = job.weight;
    one["guarantee"] = job.guarantee.count;
    one["max"] = job.max.count;
    one["rollouts_per_replica"] = job.rollouts_per_replica;
    one["demand"] = demand_json(job, view);
    one["admission"] = json();
    if (view.decision != nullptr) {
      const auto limit = view.decision->admission.find(job.name);
      if (limit != view.decision->admission.end()) one["admission"] = limit->second;
    }
    int target = 0, ready = 0;
    one["deployments"] = json::array();
    for (const DeploymentConfig& deployment : job.deployments) {
      json d = deployment_json(deployment, view);
      target += d["target"].get<int>();
      ready += d["ready"].get<int>();
      one["deployments"].push_back(std::move(d));
    }
    one["target"] = target;
    one["ready"] = ready;
    list.push_back(std::move(one));
  }
  json out = json::object();
  out["jobs"] = std::move(list);
  return out;
}

json overrides_view(const BoardView& view) {
  json list = json::array();
  if (view.state != nullptr) {
    for (const auto& [id, value] : view.state->overrides) {
      if (value.expires_at <= view.now) continue;
      json one = to_json(value);
      one["expires_in_s"] = seconds(value.expires_at - view.now);
      list.push_back(std::move(one));
    }
  }
  json out = json::object();
  out["overrides"] = std::move(list);
  return out;
}

json history_view(const std::deque<HistoryPoint>& history, std::optional<TimePoint> since, std::size_t max) {
  std::size_t first = 0;
  while (since && first < history.size() && history[first].at <= *since) ++first;
  const std::size_t count = history.size() - first;
  const std::size_t step = (count + max - 1) / std::max<std::size_t>(max, 1);
  std::vector<const HistoryPoint*> points;
  std::set<std::string> in_flight, ready, reserve;
  // Counted from the newest, or it would be left out and the chart would always lag.
  for (std::size_t i = count; i > 0; i -= std::min(i, step)) points.insert(points.begin(), &history[first + i - 1]);
  for (const HistoryPoint* point : points) {
    for (const auto& [id, value] : point->in_flight) in_flight.insert(id.value);
    for (const auto& [id, value] : point->ready) ready.insert(id.value);
    for (const auto& [id, value] : point->reserve) reserve.insert(id.value);
  }
  json out = json::object();
  out["at"] = json::array();
  for (const char* name : {"in_flight", "ready", "reserve"}) out[name] = json::object();
  for (const std::string& id : in_flight) out["in_flight"][id] = json::array();
  for (const std::string& id : ready) out["ready"][id] = json::array();
  for (const std::string& id : reserve) out["reserve"][id] = json::array();
  for (const HistoryPoint* point : points) {
    out["at"].push_back(to_iso(point->at));
    for (auto& [id, column] : out["in_flight"].items()) {
      const auto found = point->in_flight.find(DeploymentId(id));
      column.push_back(found == point->in_flight.end() ? json() : json(found->second));
    }
    for (auto& [id, column] : out["ready"].items()) {
      const auto found = point->ready.find(DeploymentId(id));
      column.push_back(found == point->ready.end() ? json() : json(found->second.count));
    }
    for (auto& [id, column] : out["reserve"].items()) {
      const auto found = point->reserve.find(PoolId(id));
      column.push_back(found == point->reserve.end() ? json() : json(found->second.count));
    }
  }
  return out;
}

json explained(const json& decision) {
  json sentences = json::array();
  // Steps are appended stage by stage, so their order is the order in which to read them.
  const auto why = decision.find("why");
  if (why != decision.end()) {
    for (const json& step : *why) {
      json one = json::object();
      one["stage"] = step.value("stage", "");
      one["text"] = step.value("text", "");
      sentences.push_back(std::move(one));
    }
  }
  json out = json::object();
  out["tick"] = decision.value("tick", std::uint64_t{0});
  out["at"] = decision.value("at", "");
  out["sentences"] = std::move(sentences);
  out["decision"] = decision;
  return out;
}

}  // namespace ebb
