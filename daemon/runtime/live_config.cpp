#include "daemon/runtime/live_config.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>
#include <tuple>

namespace ebb {
namespace {

// Both take the state_dir in force: another one is refused once, not again for everything in it.
std::string directory_of(const FleetConfig& fleet, const std::string& state_dir) {
  return fleet.directory.empty() ? state_dir + "/fleets/" + fleet.name.value : fleet.directory;
}

std::string ledger_of(const Config& config, const std::string& state_dir) {
  return config.ledger.path.empty() ? state_dir + "/ebb.db" : config.ledger.path;
}

/// The GPUs a fleet hands out, by the names under which its slots are locked.
std::set<std::string> gpus_of(const FleetConfig& fleet, const Config& config) {
  if (!fleet.gpu_ids.empty()) return {fleet.gpu_ids.begin(), fleet.gpu_ids.end()};
  std::set<std::string> names;
  for (const PoolConfig& pool : config.pools) {
    for (int i = 0; pool.name == fleet.pool && i < pool.gpus.count; ++i) names.insert(std::to_string(i));
  }
  return names;
}

std::string listed(const std::set<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

/// What the next configuration would have to change under a running process.
class Refusals {
 public:
  Refusals(const Config& before, const Loaded& next, std::string path)
      : before_(before), next_(next), after_(*next.config), path_(std::move(path)) {}

  std::vector<Problem> found() && {
    const auto number = [](int n) { return std::to_string(n); };
    stays("state_dir", before_.state_dir, after_.state_dir);
    stays("api.listen", before_.api.listen, after_.api.listen);
    stays("api.max_connections", number(before_.api.max_connections), number(after_.api.max_connections));
    stays("api.max_body_kib", number(before_.api.max_body_kib), number(after_.api.max_body_kib));
    stays("api.request_timeout", to_text(before_.api.request_timeout), to_text(after_.api.request_timeout));
    stays("ledger.path", ledger_of(before_, before_.state_dir), ledger_of(after_, before_.state_dir));
    stays("ledger.keep", to_text(before_.ledger.keep), to_text(after_.ledger.keep));
    stays("ledger.max_decisions", number(before_.ledger.max_decisions), number(after_.ledger.max_decisions));
    for (const FleetConfig& fleet : before_.fleets) compare(fleet);
    // The same order as of other problems: as the file reads.
    std::stable_sort(out_.begin(), out_.end(), [](const Problem& a, const Problem& b) {
      return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    return std::move(out_);
  }

 private:
  void compare(const FleetConfig& fleet) {
    const auto same = [&](const FleetConfig& other) { return other.name == fleet.name; };
    const auto now = std::find_if(after_.fleets.begin(), after_.fleets.end(), same);
    const std::string name = "fleets." + fleet.name.value;
    if (now == after_.fleets.end()) {
      return add("fleets", "fleet '" + fleet.name.value + "' may still run replicas, which nobody would see any more");
    }
    stays(name + ".pool", fleet.pool.value, now->pool.value);
    stays(name + ".directory", directory_of(fleet, before_.state_dir), directory_of(*now, before_.state_dir));
    if (now->pool != fleet.pool) return;
    const std::set<std::string> had = gpus_of(fleet, before_), has = gpus_of(*now, after_);
    std::set<std::string> lost;
    std::set_difference(had.begin(), had.end(), has.begin(), has.end(), std::inserter(lost, lost.end()));
    if (lost.empty()) return;
    const bool by_name = !now->gpu_ids.empty();
    add(by_name ? name + ".gpu_ids" : "pools." + fleet.pool.value + ".gpus",
        "fleet '" + fleet.name.value + "' would lose the GPUs " + listed(lost) + ", on which replicas may run");
  }

  void stays(const std::string& option, const std::string& was, const std::string& is) {
    if (was != is) add(option, "'" + option + "' would change from " + was + " to " + is);
  }

  void add(const std::string& option, const std::string& what) {
    // Where the option stands, or what is around it; an option that was left out stands nowhere.
    Place place{1, 1};
    for (std::string around = option;; around.resize(around.rfind('.'))) {
      if (const auto found = next_.places.find(around); found != next_.places.end()) {
        place = found->second;
        break;
      }
      if (around.rfind('.') == std::string::npos) break;
    }
    out_.push_back({path_, place.line, place.column, what + ": not while the daemon runs, restart it"});
  }

  const Config& before_;
  const Loaded& next_;
  const Config& after_;
  std::string path_;
  std::vector<Problem> out_;
};

/// A configuration for back-tests only is a good one, but no daemon can run it.
std::vector<Problem> without_fleet(const Loaded& loaded, const std::string& path) {
  std::vector<Problem> out;
  for (const FleetConfig& fleet : loaded.config->fleets) {
    if (fleet.kind != FleetKind::simulated) continue;
    const auto place = loaded.places.find("fleets." + fleet.name.value);
    const Place at = place == loaded.places.end() ? Place{1, 1} : place->second;
    out.push_back({path, at.line, at.column,
                   "fleet '" + fleet.name.value + "' is simulated: it runs nothing, and is for `ebbd backtest`"});
  }
  return out;
}

}  // namespace

LiveConfig::Stamp LiveConfig::stamp() const {
  Stamp out;
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return out;
  const auto written = std::chrono::seconds{info.st_mtim.tv_sec} + std::chrono::nanoseconds{info.st_mtim.tv_nsec};
  out.written_ns = std::chrono::nanoseconds{written}.count();
  out.size = static_cast<std::uint64_t>(info.st_size);
  out.inode = info.st_ino;
  return out;
}

Result<std::unique_ptr<LiveConfig>> LiveConfig::open(const std::string& path) {
  std::unique_ptr<LiveConfig> live(new LiveConfig(path));
  live->seen_ = live->stamp();
  Loaded loaded = load_config(path);
  if (!loaded.config) return Error{ErrorCode::invalid, to_text(loaded.problems), false};
  if (const auto problems = without_fleet(loaded, path); !problems.empty()) {
    return Error{ErrorCode::invalid, to_text(problems), false};
  }
  live->current_ = std::make_shared<const Config>(std::move(*loaded.config));
  return live;
}

ReloadStatus LiveConfig::reload(TimePoint now) {
  seen_ = stamp();
  Loaded loaded = load_config(path_);
  std::string problems = to_text(loaded.problems);
  if (loaded.config) {
    problems = to_text(without_fleet(loaded, path_)) + to_text(Refusals(*current_, loaded, path_).found());
  }
  status_ = {problems.empty(), now, problems};
  if (status_.ok) current_ = std::make_shared<const Config>(std::move(*loaded.config));
  return status_;
}

bool LiveConfig::file_changed() {
  const Stamp now = stamp();
  // A file that is gone for a moment (an editor's save) is no change yet.
  if (now == seen_ || now == Stamp{}) return false;
  seen_ = now;
  return true;
}

}  // namespace ebb
