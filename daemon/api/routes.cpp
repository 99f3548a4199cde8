#include "daemon/api/routes.hpp"

#include <array>

#include "daemon/api/answers.hpp"

namespace ebb {

std::span<const Route> routes() {
  static constexpr std::array kRoutes{
      Route{"GET", "/v1/status", Scope::read, handlers::status},
      Route{"GET", "/v1/pools", Scope::read, handlers::pools},
      Route{"GET", "/v1/services", Scope::read, handlers::services},
      Route{"GET", "/v1/jobs", Scope::read, handlers::jobs},
      Route{"PUT", "/v1/jobs/{job}/demand", Scope::operate, nullptr, handlers::set_demand},
      Route{"GET", "/v1/jobs/{job}/snapshots", Scope::follow, nullptr, handlers::snapshots},
      Route{"POST", "/v1/jobs/{job}/snapshots", Scope::publish, nullptr, handlers::publish},
      Route{"POST", "/v1/jobs/{job}/snapshots:plan", Scope::publish, nullptr, handlers::plan_snapshot},
      Route{"GET", "/v1/jobs/{job}/snapshots/{identity}", Scope::follow, nullptr, handlers::snapshot},
      Route{"GET", "/v1/jobs/{job}/ledger", Scope::follow, nullptr, handlers::weights_ledger},
      Route{"DELETE", "/v1/jobs/{job}/ledger", Scope::publish, nullptr, handlers::reset_ledger},
      Route{"POST", "/hot_load/v1/models/hot_load", Scope::publish, nullptr, handlers::wire_publish},
      Route{"GET", "/hot_load/v1/models/hot_load", Scope::follow, nullptr, handlers::wire_status},
      Route{"GET", "/v1/accounts/{account}/deployments/{job}/ledger", Scope::follow, nullptr, handlers::wire_ledger},
      Route{"DELETE", "/v1/accounts/{account}/deployments/{job}/ledger", Scope::publish, nullptr, handlers::wire_reset},
      Route{"GET", "/v1/replicas", Scope::read, handlers::replicas},
      Route{"GET", "/v1/decisions", Scope::read, nullptr, handlers::decisions},
      Route{"GET", "/v1/decisions/{tick}", Scope::read, nullptr, handlers::decision},
      Route{"GET", "/v1/explain", Scope::read, nullptr, handlers::explain},
      Route{"GET", "/v1/overrides", Scope::read, handlers::overrides},
      Route{"POST", "/v1/overrides", Scope::operate, nullptr, handlers::set_override},
      Route{"DELETE", "/v1/overrides/{id}", Scope::operate, nullptr, handlers::clear_override},
      Route{"GET", "/v1/events", Scope::read, nullptr, handlers::events},
      Route{"GET", "/v1/history", Scope::read, handlers::history},
      Route{"GET", "/v1/config", Scope::read, handlers::config},
      Route{"GET", "/metrics", Scope::open, handlers::metrics},
      Route{"GET", "/healthz", Scope::open, handlers::healthz},
      Route{"GET", "/readyz", Scope::open, handlers::readyz},
  };
  return kRoutes;
}

std::optional<std::map<std::string, std::string>> matched(std::string_view pattern,
                                                          const std::vector<std::string>& segments) {
  std::map<std::string, std::string> params;
  pattern.remove_prefix(1);
  for (const std::string& segment : segments) {
    if (pattern.empty()) return std::nullopt;
    const std::size_t end = pattern.find('/');
    const std::string_view part = pattern.substr(0, end);
    pattern = end == std::string_view::npos ? std::string_view() : pattern.substr(end + 1);
    if (part.front() == '{') {
      if (segment.empty()) return std::nullopt;
      params.emplace(part.substr(1, part.size() - 2), segment);
    } else if (part != segment) {
      return std::nullopt;
    }
  }
  if (!pattern.empty()) return std::nullopt;
  return params;
}

std::optional<Response> refused(const Status& status) {
  if (status.ok()) return std::nullopt;
  return problem(status.error());
}

}  // namespace ebb
