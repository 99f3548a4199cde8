#include "tests/sim/confirmed.hpp"

#include <algorithm>
#include <tuple>

#include "daemon/core/reduce.hpp"

namespace ebb::sim {
namespace {

/// Overrides and demand are words of others, which are judged by themselves.
bool alike(const State& a, const State& b) {
  return a.tick == b.tick && a.leases == b.leases && a.deployments == b.deployments && a.slack == b.slack &&
         a.growth == b.growth;
}

std::string difference(const State& want, const State& found) {
  const auto of = [](const char* what, std::size_t a, std::size_t b) {
    return std::string(what) + " (" + std::to_string(a) + " were recorded, " + std::to_string(b) + " found)";
  };
  if (want.tick != found.tick)
    return "tick " + std::to_string(want.tick) + " was recorded, " + std::to_string(found.tick) + " found";
  if (want.leases != found.leases) return of("other leases", want.leases.size(), found.leases.size());
  if (want.deployments != found.deployments)
    return of("other memories of deployments", want.deployments.size(), found.deployments.size());
  if (want.slack != found.slack) return of("other slack", want.slack.size(), found.slack.size());
  return of("other memories of growth", want.growth.size(), found.growth.size());
}

}  // namespace

State Confirmed::Version::folded() const {
  std::vector<End> in_order = ended;
  std::sort(in_order.begin(), in_order.end(), [](const End& a, const End& b) {
    return std::tie(a.outcome.at, a.outcome.action) < std::tie(b.outcome.at, b.outcome.action);
  });
  State out = state;
  for (const End& end : in_order) out = reduce(std::move(out), end.outcome, end.action);
  return out;
}

std::string Confirmed::decided(const Decision& decision, bool written) {
  latest_ = std::max(latest_, decision.at);
  Version version{decision.next, {}};
  if (!written) {
    perhaps_.push_back(std::move(version));
    return {};
  }
  fresh_ = false;
  sure_ = std::move(version);
  perhaps_.clear();
  for (const Action& action : decision.plan.actions) open_[action.id] = action;
  return refused_.empty() ? "" : refused_.begin()->value;
}

void Confirmed::ended(const std::vector<Outcome>& outcomes, bool written) {
  Version version = sure_;
  for (const Outcome& outcome : outcomes) {
    // The first word on an action stays.
    const auto action = open_.find(outcome.action);
    if (action == open_.end()) continue;
    version.ended.push_back({outcome, action->second});
    if (written) {
      open_.erase(action);
      refused_.erase(outcome.action);
    } else {
      refused_.insert(outcome.action);
    }
  }
  if (!written) {
    perhaps_.push_back(std::move(version));
    return;
  }
  sure_ = std::move(version);
  perhaps_.clear();
}

void Confirmed::told(const Event& event, bool written) {
  if (!written) return;
  if (event.set) words_[event.set->id] = *event.set;
  if (event.cleared) words_.erase(*event.cleared);
}

std::string Confirmed::missing_in(const Recovered& found) const {
  const auto is_found = [&](const Version& version) { return alike(version.folded(), found.state); };
  if (found.fresh != fresh_ && perhaps_.empty())
    return found.fresh ? "everything" : "nothing was recorded, and is there";
  if (!is_found(sure_) && std::none_of(perhaps_.begin(), perhaps_.end(), is_found))
    return difference(sure_.folded(), found.state);
  const auto is_unfinished = [&](const ActionId& id) {
    return std::any_of(found.unfinished.begin(), found.unfinished.end(),
                       [&](const ActionRow& row) { return row.action.id == id; });
  };
  for (const auto& [id, action] : open_) {
    if (perhaps_.empty() && !is_unfinished(id)) return "the action " + id.value + ", which has no outcome";
  }
  for (const auto& [id, word] : words_) {
    if (word.expires_at <= latest_) continue;
    const auto there = found.state.overrides.find(id);
    if (there == found.state.overrides.end() || there->second != word) return "the override " + id.value;
  }
  return {};
}

void Confirmed::restarted(const Recovered& found) {
  sure_ = {found.state, {}};
  perhaps_.clear();
  fresh_ = found.fresh;
  open_.clear();
  refused_.clear();
  for (const ActionRow& row : found.unfinished) open_[row.action.id] = row.action;
}

}  // namespace ebb::sim
