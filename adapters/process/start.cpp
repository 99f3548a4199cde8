// Starting replicas: one action at a time, since two that pick slots at once would pick the same. Everything else of
// the fleet goes on meanwhile; a reclaim never waits for a start.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "adapters/process/process_fleet.hpp"
#include "adapters/process/run_command.hpp"
#include "daemon/shim/layout.hpp"

namespace ebb {

using process::Launch;
using process::ReplicaOnDisk;
using process::Scan;

namespace {

// A shim takes some 20 ms to its record, systemd-run a tenth of a second more; a disk that syncs slowly a few seconds.
constexpr Duration kStartWithin{15'000};
constexpr Duration kGpuSampleAge{2'000};
constexpr Duration kGpuSampleWait{6'000};
constexpr int kNotEnded = -1;

/// Makes the directory ready for a shim: what an earlier, refused attempt said is no longer true.
Status prepare(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return Error{ErrorCode::internal, "cannot create " + dir + ": " + error.message(), true};
  std::filesystem::remove(dir + "/" + shim::kRefused, error);
  return Done{};
}

std::vector<std::string> own_environment() {
  std::vector<std::string> out;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) out.emplace_back(*variable);
  return out;
}

bool exists(const Scan& scan, const ReplicaId& id) {
  return std::any_of(scan.replicas.begin(), scan.replicas.end(), [&](const ReplicaOnDisk& disk) {
    return disk.id == id && (disk.alive || disk.record || !disk.broken.empty());
  });
}

}  // namespace

/// Held by the one start that is under way.
class ProcessFleet::StartGate {
 public:
  explicit StartGate(bool& taken) : taken_(taken) { taken_ = true; }
  ~StartGate() { taken_ = false; }
  StartGate(const StartGate&) = delete;
  StartGate& operator=(const StartGate&) = delete;

 private:
  bool& taken_;
};

awaitable<Result<Fleet::Applied>> ProcessFleet::start(Action action) {
  const auto found = options_.deployments.find(action.deployment);
  if (found == options_.deployments.end() || found->second.config.command.empty()) {
    Error error{ErrorCode::invalid, "deployment '" + action.deployment.value + "' has no command in this fleet", false};
    co_return error;
  }
  // A copy: a reload may replace the map while we wait.
  const ProcessDeployment deployment = found->second;
  while (start_under_way_ && !closed_) {
    const TimePoint soon = clock_.now() + Duration{5};
    co_await clock_.sleep_until(soon);
  }
  const StartGate gate(start_under_way_);
  co_return co_await start_each(action, deployment);
}

awaitable<Result<Fleet::Applied>> ProcessFleet::start_each(const Action& action, const ProcessDeployment& deployment) {
  const TimePoint now = clock_.now();
  co_await gpus_->await_sample(now - kGpuSampleAge, now + kGpuSampleWait);
  const int each = action.gpus_each.count > 0 ? action.gpus_each.count : deployment.config.gpus_per_replica.count;
  Applied applied;
  for (const ReplicaId& id : action.replicas) {
    Started started = Started::slot_taken;
    std::string why;
    // Each refusal means that somebody else has just taken a slot; there are only so many slots to lose.
    for (std::size_t tries = 0; started == Started::slot_taken && tries <= slot_names().size(); ++tries) {
      const Result<Scan> scan = co_await scanned();
      if (!scan.ok()) co_return scan.error();
      if (exists(*scan, id)) {
        started = Started::yes;
        break;
      }
      const Judged judgement = judged(*scan);
      Launch launch;
      launch.replica = id;
      const auto slots = process::pick_slots(slot_names(), judgement.free, each);
      const auto port =
          process::pick_port(options_.fleet.first_port, options_.fleet.last_port, judgement.ports, last_port_);
      last_port_ = port.value_or(last_port_);
      if (!slots || !port) {
        started = Started::no;
        why = port ? "exhausted: " + std::to_string(judgement.free.size()) + " of " +
                         std::to_string(slot_names().size()) + " slots are free, it needs " + std::to_string(each)
                   : "exhausted: no free port between first_port and last_port";
        if (gpus_->active() && !gpus_->problem().empty()) why += "; " + gpus_->problem();
        break;
      }
      launch.slots = *slots;
      launch.port = *port;
      started = co_await start_one(std::move(launch), deployment, why);
    }
    if (started == Started::unknown) {
      Error error{ErrorCode::timeout, why, true};
      co_return error;
    }
    if (started == Started::yes) continue;
    applied.not_started.push_back(id);
    applied.detail = why;
  }
  co_return applied;
}

std::string ProcessFleet::systemd_run() const {
  if (options_.fleet.launcher == Launcher::direct) return "";
  // INVOCATION_ID: systemd started us, and stopping our unit would take everything in its cgroup along.
  if (options_.fleet.launcher == Launcher::automatic && std::getenv("INVOCATION_ID") == nullptr) return "";
  const std::string found = process::find_program("systemd-run");
  // Asked for by name, it is started by name even where it is not, so that the failure is seen.
  return found.empty() && options_.fleet.launcher == Launcher::systemd ? "systemd-run" : found;
}

awaitable<ProcessFleet::Started> ProcessFleet::start_one(Launch launch, const ProcessDeployment& deployment,
                                                         std::string& why) {
  const ReplicaId id = launch.replica;
  const std::string dir = paths_.replica(id);
  auto work = [dir, log = dir + "/" + shim::kShimLog,
               environment =
                   process::engine_environment(own_environment(), options_.secret_variables, deployment, launch),
               command = process::shim_command(deployment, launch, options_.fleet, options_.shim_path, dir,
                                               paths_.slots(), systemd_run())]() -> Result<pid_t> {
    const Status prepared = prepare(dir);
    if (!prepared.ok()) return prepared.error();
    return process::start_command(command, environment, log);
  };
  spawning_[id] = launch;
  if (closed_) co_return Started::no;
  const Result<pid_t> launcher = co_await worker_.run(std::move(work));
  const int code = launcher.ok() ? co_await exit_code_of(*launcher) : shim::kFailed;
  spawning_.erase(id);
  if (code == shim::kStarted || code == shim::kAlready) co_return Started::yes;
  if (code == kNotEnded) {
    why = "replica " + id.value + ": its shim gave no answer within " + to_text(kStartWithin);
    co_return Started::unknown;
  }
  auto clean_up = [paths = paths_, id, dir, keep = options_.keep_ended] {
    std::string line = shim::last_line(dir + "/" + shim::kShimLog);
    (void)process::retire(paths, id, keep);
    return line;
  };
  if (closed_) co_return Started::no;
  const std::string line = co_await worker_.run(std::move(clean_up));
  why = "replica " + id.value + " was not started: " + (launcher.ok() ? line : launcher.error().what);
  co_return code == shim::kRefusedSlot ? Started::slot_taken : Started::no;
}

awaitable<int> ProcessFleet::exit_code_of(pid_t launcher) {
  const TimePoint until = clock_.now() + kStartWithin;
  Duration pause{2};
  int status = 0;
  while (true) {
    const pid_t ended = ::waitpid(launcher, &status, WNOHANG);
    if (ended == launcher) co_return WIFEXITED(status) ? WEXITSTATUS(status) : shim::kFailed;
    // Reaped by somebody else (SIGCHLD ignored, a waiter for all children): what it did is to be seen on disk.
    if (ended < 0 && errno == ECHILD) co_return kNotEnded;
    if (clock_.now() >= until) break;
    const TimePoint next = clock_.now() + pause;
    co_await clock_.sleep_until(next);
    pause = std::min(pause * 2, Duration{20});
  }
  // A shim whose starter is gone when it wants to report takes its engine down again.
  ::kill(launcher, SIGKILL);
  const TimePoint dead_by = clock_.now() + Duration{100};
  co_await clock_.sleep_until(dead_by);
  ::waitpid(launcher, &status, WNOHANG);
  co_return kNotEnded;
}

}  // namespace ebb
