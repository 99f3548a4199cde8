#include "daemon/app.hpp"

#include <sys/resource.h>

#include <algorithm>

#include <spdlog/spdlog.h>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "adapters/factory.hpp"
#include "adapters/http/curl_client.hpp"
#include "daemon/api/api.hpp"
#include "daemon/api/server.hpp"
#include "daemon/ports/control.hpp"
#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/actuator.hpp"
#include "daemon/runtime/board.hpp"
#include "daemon/runtime/build_id.hpp"
#include "daemon/runtime/control_loop.hpp"
#include "daemon/runtime/job_fleet.hpp"
#include "daemon/runtime/live_config.hpp"
#include "daemon/runtime/logging.hpp"
#include "daemon/runtime/observer.hpp"
#include "daemon/runtime/process_lock.hpp"
#include "daemon/runtime/recovery.hpp"
#include "daemon/runtime/sd_notify.hpp"
#include "daemon/runtime/signals.hpp"
#include "daemon/runtime/snapshot_coordinator.hpp"
#include "daemon/runtime/snapshot_pruner.hpp"
#include "daemon/runtime/sqlite_ledger.hpp"
#include "daemon/runtime/system_clock.hpp"
#include "daemon/runtime/telemetry.hpp"
#include "daemon/version.hpp"

namespace ebb {
namespace {

namespace asio = boost::asio;

constexpr Duration kConfigLookInterval{1'000};

/// Frames refer to the App's members, which refer to the io_context: `drop_frames` ends what is still suspended while
/// the members live (STYLE 31); the destructor then finds nothing to do.
class LoopContext final : public asio::io_context {
 public:
  LoopContext() : asio::io_context(1) {}
  void drop_frames() { shutdown(); }
};

/// Everything that runs, on one thread.
class App final : public Control {
 public:
  App(LiveConfig& live, std::unique_ptr<SqliteLedger> ledger, std::string shim_path, std::string plugin_host_path)
      : live_(live),
        clock_(io_.get_executor()),
        ledger_(std::move(ledger)),
        shim_path_(std::move(shim_path)),
        plugin_host_path_(std::move(plugin_host_path)),
        wiring_(make_wiring(*live.current(), nullptr, parts())),
        observer_(clock_),
        actuator_(io_.get_executor(), clock_),
        telemetry_(kVersion),
        board_(clock_, telemetry_, systemd_),
        loop_(io_.get_executor(), {clock_, *ledger_, observer_, actuator_, board_, [this] { return live_.current(); },
                                   [this] { return wiring_; }, [this](Observation& seen) { add_weights(seen); }}),
        coordinator_(io_.get_executor(),
                     {clock_, *ledger_, [this] { return live_.current(); },
                      [this] { return std::shared_ptr<const SnapshotWiring>(wiring_, &wiring_->snapshots); },
                      [this](const JobConfig& job) { return fleet_of(job); }, [this] { loop_.poke(); }}),
        pruner_(io_.get_executor(),
                {clock_, *ledger_, coordinator_, [this] { return live_.current(); },
                 [this] { return std::shared_ptr<const SnapshotWiring>(wiring_, &wiring_->snapshots); }}),
        api_(*this, *ledger_, clock_, coordinator_, *ledger_) {}

  int run();

  BoardView view() const override { return board_.view(); }
  const std::deque<HistoryPoint>& history() const override { return board_.history(); }
  awaitable<Result<Override>> set_override(Override wanted) override;
  awaitable<Status> clear_override(OverrideId id, std::string by) override;
  awaitable<Status> set_demand(JobId job, Demand demand) override;
  std::string metrics_text() override { return telemetry_.text(clock_.now()); }
  std::shared_ptr<void> subscribe(Listener listener) override { return board_.subscribe(std::move(listener)); }

 private:
  FactoryParts parts() { return {io_.get_executor(), http_, clock_, shim_path_, plugin_host_path_}; }
  awaitable<void> main();
  awaitable<Resumed> recovered();
  awaitable<void> watch_config();
  awaitable<Status> record_and_tell(Event event);
  void add_weights(Observation& seen) const;
  JobFleet fleet_of(const JobConfig& job) const;
  void reload(const char* why);
  void stop();

  LoopContext io_;
  LiveConfig& live_;
  SystemClock clock_;
  CurlClient http_;
  std::unique_ptr<SqliteLedger> ledger_;
  std::string shim_path_, plugin_host_path_;
  std::shared_ptr<const Wiring> wiring_;
  Observer observer_;
  Actuator actuator_;
  Telemetry telemetry_;
  SdNotify systemd_;
  Board board_;
  ControlLoop loop_;
  SnapshotCoordinator coordinator_;
  SnapshotPruner pruner_;
  Api api_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Signals> signals_;
  bool stopping_ = false;
  int status_ = 0;
};

int App::run() {
  Result<std::unique_ptr<Server>> server = Server::listen(io_.get_executor(), live_.current()->api, api_);
  if (!server.ok()) {
    spdlog::error("listen=failed problem=\"{}\"", server.error().what);
    return 1;
  }
  server_ = std::move(server.value());
  board_.reloaded(live_.status(), live_.current());
  signals_ = std::make_unique<Signals>(
      io_.get_executor(), [this] { stop(); }, [this] { reload("SIGHUP"); });
  spdlog::info("version={} config_hash={} mode={} listen={} state_dir={}", kVersion, live_.current()->hash,
               live_.current()->mode == Mode::act ? "act" : "advise", live_.current()->api.listen,
               live_.current()->state_dir);
  spawn(io_.get_executor(), main());
  spawn(io_.get_executor(), watch_config());
  try {
    io_.run();
  } catch (const std::exception& failure) {
    spdlog::critical("stopped=\"{}\"", failure.what());
    status_ = 1;
  }
  http_.stop();
  close_wiring(*wiring_);
  ledger_->close();
  io_.drop_frames();
  return status_;
}

awaitable<void> App::main() {
  Resumed left = co_await recovered();
  const Status weights = co_await coordinator_.recover();
  if (!weights.ok()) {
    spdlog::critical("weights=unreadable problem=\"{}\"", weights.error().what);
    status_ = 1;
    stop();
  }
  coordinator_.start();
  spawn(io_.get_executor(), pruner_.run());
  co_await loop_.run(std::move(left.state), std::move(left.owed));
  Event ended;
  ended.at = clock_.now();
  ended.kind = "stopped";
  (void)co_await ledger_->record(std::move(ended));
  server_->stop();
  io_.stop();
}

/// What the last run left: its state, and its unfinished actions closed against what the fleets show.
awaitable<Resumed> App::recovered() {
  ResumeParts parts{clock_, *ledger_, observer_, live_.current(), wiring_, kVersion};
  Result<Resumed> before = co_await resume(std::move(parts));
  if (!before.ok()) {
    spdlog::critical("ledger=unreadable problem=\"{}\"", before.error().what);
    status_ = 1;
    stop();
    co_return Resumed();
  }
  for (const Finished& ending : before.value().endings) board_.finished(ending);
  spdlog::info("recovered_tick={} leases={} unfinished={}", before.value().state.tick,
               before.value().state.leases.size(), before.value().endings.size());
  co_return std::move(before.value());
}

/// Which replicas have admissible weights, and which deployments load some: growth there waits (I7).
void App::add_weights(Observation& seen) const {
  for (const JobConfig& job : live_.current()->jobs) {
    if (!job.snapshots.enabled) continue;
    const auto standing = coordinator_.standing(job.name);
    if (!standing) continue;
    seen.current[job.name] = standing->current;
    seen.loading.insert(standing->loading.begin(), standing->loading.end());
  }
}

JobFleet App::fleet_of(const JobConfig& job) const {
  const BoardView now = board_.view();
  return job_fleet(job, now.seen.get(), now.state.get(), actuator_.busy());
}

awaitable<Status> App::record_and_tell(Event event) {
  event.at = clock_.now();
  Event copy = event;
  Result<std::uint64_t> written = co_await ledger_->record(std::move(copy));
  if (!written.ok()) co_return written.error();
  loop_.tell(std::move(event));
  co_return Done();
}

awaitable<Result<Override>> App::set_override(Override wanted) {
  wanted.created_at = clock_.now();
  wanted.id = OverrideId(std::string(to_string(wanted.kind)) + "-" +
                         std::to_string(wanted.created_at.time_since_epoch().count()));
  Event event;
  event.kind = "override_set";
  event.subject = wanted.target;
  event.detail = wanted.reason;
  event.set = wanted;
  Status done = co_await record_and_tell(std::move(event));
  if (!done.ok()) co_return done.error();
  co_return wanted;
}

awaitable<Status> App::clear_override(OverrideId id, std::string by) {
  const BoardView now = board_.view();
  if (now.state == nullptr || !now.state->overrides.contains(id)) {
    Error error;
    error.code = ErrorCode::not_found;
    error.what = "there is no override '" + id.value + "'";
    co_return error;
  }
  Event event;
  event.kind = "override_cleared";
  event.subject = id.value;
  event.detail = "by " + by;
  event.cleared = id;
  co_return co_await record_and_tell(std::move(event));
}

awaitable<Status> App::set_demand(JobId job, Demand demand) {
  demand.set_at = clock_.now();
  Event event;
  event.kind = "demand_set";
  event.subject = job.value;
  event.demand = demand;
  co_return co_await record_and_tell(std::move(event));
}

awaitable<void> App::watch_config() {
  while (!stopping_) {
    co_await clock_.sleep_until(clock_.now() + kConfigLookInterval);
    if (!stopping_ && live_.file_changed()) reload("file changed");
  }
}

void App::reload(const char* why) {
  systemd_.reloading();
  const ReloadStatus status = live_.reload(clock_.now());
  if (status.ok) {
    wiring_ = make_wiring(*live_.current(), wiring_.get(), parts());
    spdlog::info("reload=ok why=\"{}\" config_hash={}", why, live_.current()->hash);
    coordinator_.start();
    loop_.poke();
  } else {
    spdlog::error("reload=refused why=\"{}\" kept={} problems=\"{}\"", why, live_.current()->hash, status.problems);
  }
  board_.reloaded(status, live_.current());
  systemd_.ready();
}

void App::stop() {
  if (std::exchange(stopping_, true)) return;
  spdlog::info("stopping=\"replicas are left running\"");
  systemd_.stopping();
  coordinator_.stop();
  pruner_.stop();
  loop_.stop();
}

/// A connection to each of a thousand engines needs more than the usual 1,024 descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65'536);
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string beside_this_program(const char* name) {
  std::error_code ignored;
  return (std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / name).string();
}

}  // namespace

int run_daemon(const RunOptions& options) {
  Result<std::unique_ptr<LiveConfig>> live = LiveConfig::open(options.config_path);
  if (!live.ok()) {
    std::cerr << live.error().what;
    return 2;
  }
  const std::shared_ptr<const Config> config = (*live)->current();
  start_logging(config->log_level);
  const Result<std::unique_ptr<ProcessLock>> lock = ProcessLock::take(config->state_dir);
  if (!lock.ok()) {
    std::cerr << "ebbd: " << lock.error().what << "\n";
    return 1;
  }
  const std::string path = config->ledger.path.empty() ? config->state_dir + "/ebb.db" : config->ledger.path;
  Result<std::unique_ptr<SqliteLedger>> ledger = SqliteLedger::open(path, config->ledger, build_id());
  if (!ledger.ok()) {
    std::cerr << "ebbd: " << ledger.error().what << "\n";
    return 1;
  }
  raise_descriptor_limit();
  const std::string shim = options.shim_path.empty() ? beside_this_program("ebb-shim") : options.shim_path;
  App app(**live, std::move(*ledger), shim, beside_this_program("ebb-plugin-host"));
  return app.run();
}

}  // namespace ebb
