#include "adapters/process/process_fleet.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "adapters/process/run_command.hpp"
#include "daemon/shim/files.hpp"
#include "daemon/shim/layout.hpp"

namespace ebb {

using process::GpuUse;
using process::ReplicaOnDisk;
using process::Scan;

namespace {

// How often nvidia-smi is asked while nothing waits for it: it costs some 50 ms of a core.
constexpr Duration kGpuIdleAge{10'000};
constexpr Duration kGpuBusyAge{500};

Error cancelled() { return Error{ErrorCode::cancelled, "the fleet is closed", false}; }

long long ms_of(TimePoint at) { return at.time_since_epoch().count(); }

/// "<deployment>-<tick>-<n>" without its last two parts; for replicas whose record cannot be read.
DeploymentId deployment_from(const ReplicaId& replica) {
  std::string text = replica.value;
  for (int i = 0; i < 2; ++i) {
    const std::size_t dash = text.rfind('-');
    if (dash == std::string::npos) return DeploymentId(replica.value);
    text.resize(dash);
  }
  return DeploymentId(text);
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path full = std::filesystem::absolute(path, error).lexically_normal();
  std::string text = error ? path : full.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

/// The processes of both lists that still exist under their start time, each once. One that is being killed may have
/// lost its environment and still be giving its GPU's memory back, so it is followed by number until it is a zombie.
std::vector<shim::ProcessId> not_dead(std::vector<shim::ProcessId> known, const std::vector<shim::ProcessId>& found) {
  for (const shim::ProcessId& process : found) {
    if (std::find(known.begin(), known.end(), process) == known.end()) known.push_back(process);
  }
  std::erase_if(known, [](const shim::ProcessId& process) {
    const std::optional<shim::ProcessStat> stat = shim::read_stat(process.pid);
    return !stat || stat->start_ticks != process.start_ticks || stat->state == 'Z' || stat->state == 'X';
  });
  return known;
}

/// An order without a text: needs no room on the disk, and the shim takes it with its own drain timeout.
Status write_empty_order(const std::string& path) {
  const shim::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
  if (!fd.open()) return shim::system_error("cannot create " + path, errno);
  return Done{};
}

/// One order into one replica's directory. What does not exist or has ended needs none.
Status write_order(const std::string& dir, const char* name, const shim::Order& order) {
  std::error_code error;
  if (!std::filesystem::is_directory(dir, error)) return Done{};
  if (std::filesystem::exists(dir + "/" + shim::kExit, error)) return Done{};
  const std::optional<std::string> before = shim::read_file(dir + "/" + name, 256);
  const std::optional<shim::Order> earlier = before ? shim::order_from(*before) : std::nullopt;
  // Said before, and not later than now: the same order again changes nothing.
  if (earlier && earlier->at_ms <= order.at_ms) return Done{};
  Status written = shim::replace_file(dir, name, shim::to_text(order), shim::Sync::no);
  // A full disk must not keep production's GPUs.
  if (!written.ok() && std::filesystem::is_directory(dir, error)) written = write_empty_order(dir + "/" + name);
  // It may have been forgotten between the look and the writing.
  if (!written.ok() && !std::filesystem::is_directory(dir, error)) return Done{};
  return written;
}

}  // namespace

ProcessFleet::ProcessFleet(ProcessFleetOptions options, HttpClient& http, Clock& clock,
                           boost::asio::any_io_executor executor)
    : options_(std::move(options)),
      paths_{absolute(options_.directory)},
      clock_(clock),
      executor_(executor),
      health_(std::make_shared<process::HealthBook>(http, clock)),
      gpus_(std::make_shared<process::GpuWatch>(process::find_program(options_.nvidia_smi), clock, executor)),
      boot_(shim::boot_id()) {}

ProcessFleet::~ProcessFleet() { close(); }

void ProcessFleet::close() {
  closed_ = true;
  worker_.join();
  gpus_->close();
}

void ProcessFleet::configure(FleetConfig fleet, Gpus gpus, std::map<DeploymentId, ProcessDeployment> deployments) {
  options_.fleet = std::move(fleet);
  options_.gpus = gpus;
  options_.deployments = std::move(deployments);
}

std::vector<std::string> ProcessFleet::slot_names() const {
  if (!options_.fleet.gpu_ids.empty()) return options_.fleet.gpu_ids;
  std::vector<std::string> names;
  for (int i = 0; i < options_.gpus.count; ++i) names.push_back(std::to_string(i));
  return names;
}

awaitable<Result<Scan>> ProcessFleet::scanned() {
  if (closed_) co_return cancelled();
  auto work = [paths = paths_, slots = slot_names()] { return process::scan(paths, slots); };
  co_return co_await worker_.run(std::move(work));
}

awaitable<Result<FleetSeen>> ProcessFleet::view() {
  Result<Scan> scan = co_await scanned();
  if (!scan.ok()) co_return scan.error();
  co_await check_health(*scan);
  Judged result = judged(*scan);
  gpus_->refresh(result.waits_for_gpus ? kGpuBusyAge : kGpuIdleAge);
  co_await note_ready(*scan);
  co_return std::move(result.seen);
}

std::vector<std::string> ProcessFleet::slots_of(const ReplicaOnDisk& disk, const Scan& scan) const {
  if (disk.record) return disk.record->slots;
  std::vector<std::string> slots;
  for (const auto& [name, slot] : scan.slots) {
    if (slot.held && slot.holder == disk.id.value) slots.push_back(name);
  }
  return slots;
}

GpuUse ProcessFleet::gpus_of(const ReplicaOnDisk& disk, const Scan& scan, TimePoint since) const {
  GpuUse worst = GpuUse::free;
  for (const std::string& slot : slots_of(disk, scan)) {
    const auto held = scan.slots.find(slot);
    // Another replica has it already, so it was seen free once.
    if (held != scan.slots.end() && held->second.held && held->second.holder != disk.id.value) continue;
    const GpuUse use = gpus_->use(slot, since);
    if (use == GpuUse::busy) return use;
    if (use == GpuUse::unknown) worst = use;
  }
  return worst;
}

ReplicaSeen ProcessFleet::seen_of(const ReplicaOnDisk& disk, const Scan& scan, const std::string& boot) {
  const TimePoint now = clock_.now();
  const bool known = memory_.contains(disk.id);
  process::Memory& memory = memory_[disk.id];
  if ((process::told(disk) || disk.exit) && !memory.leaving_seen) memory.leaving_seen = now;
  if (!disk.alive && !memory.dead_seen && !spawning_.contains(disk.id)) memory.dead_seen = now;
  process::Facts facts(disk);
  facts.health = health_->of(disk.id);
  facts.gpus = memory.dead_seen && !memory.gone ? gpus_of(disk, scan, *memory.dead_seen) : GpuUse::free;
  memory.killed = not_dead(std::move(memory.killed), disk.survivors);
  // What this very scan has killed counts until the next one: whoever was there a moment ago is not "gone" yet.
  facts.survivors = std::max(memory.killed.size(), disk.survivors.size());
  facts.slot_held = !disk.alive && std::any_of(scan.slots.begin(), scan.slots.end(), [&](const auto& slot) {
    return slot.second.held && slot.second.holder == disk.id.value;
  });
  facts.spawning = spawning_.contains(disk.id);
  facts.other_boot = disk.record && disk.record->boot_id != boot;
  facts.grace = options_.lost_grace;
  facts.now = now;
  const process::Verdict verdict = process::judge(facts, memory);
  if (!known || memory.phase != verdict.phase) memory.since = std::min(verdict.since, now);
  memory.phase = verdict.phase;
  memory.gone = verdict.phase == ReplicaPhase::gone;

  ReplicaSeen seen;
  seen.id = disk.id;
  seen.deployment = disk.record ? disk.record->deployment : deployment_from(disk.id);
  seen.phase = verdict.phase;
  seen.since = memory.since;
  seen.started_at = disk.record ? disk.record->started_at : memory.since;
  const std::vector<std::string> slots = slots_of(disk, scan);
  seen.gpus = Gpus{static_cast<int>(slots.size())};
  seen.slots = process::joined(slots);
  if (disk.record && disk.record->port > 0) seen.address = "http://127.0.0.1:" + std::to_string(disk.record->port);
  seen.detail = verdict.detail;
  seen.failed = verdict.failed;
  return seen;
}

void ProcessFleet::add_spawning(Judged& out, std::set<std::string>& claimed) const {
  for (const auto& [id, launch] : spawning_) {
    claimed.insert(launch.slots.begin(), launch.slots.end());
    out.ports.insert(launch.port);
    ReplicaSeen seen;
    seen.id = id;
    seen.deployment = deployment_from(id);
    auto& replicas = out.seen.replicas;
    const auto same = [&seen](const ReplicaSeen& other) { return other.id == seen.id; };
    const auto shown = std::find_if(replicas.begin(), replicas.end(), same);
    seen.since = seen.started_at = clock_.now();
    seen.gpus = Gpus{static_cast<int>(launch.slots.size())};
    seen.slots = process::joined(launch.slots);
    if (shown == replicas.end()) {
      replicas.push_back(std::move(seen));
    } else if (shown->gpus.count == 0) {
      shown->gpus = seen.gpus;  // its shim has not written the record yet
      shown->slots = seen.slots;
    }
  }
}

ProcessFleet::Judged ProcessFleet::judged(const Scan& scan) {
  Judged out;
  std::set<std::string> claimed;
  std::set<ReplicaId> present;
  for (const ReplicaOnDisk& disk : scan.replicas) {
    present.insert(disk.id);
    ReplicaSeen seen = seen_of(disk, scan, boot_);
    if (seen.phase != ReplicaPhase::gone) {
      const std::vector<std::string> slots = slots_of(disk, scan);
      claimed.insert(slots.begin(), slots.end());
      if (disk.record) out.ports.insert(disk.record->port);
      out.waits_for_gpus = out.waits_for_gpus || !disk.alive;
    }
    out.seen.replicas.push_back(std::move(seen));
  }
  std::erase_if(memory_, [&](const auto& entry) { return !present.contains(entry.first); });
  add_spawning(out, claimed);
  std::sort(out.seen.replicas.begin(), out.seen.replicas.end(),
            [](const ReplicaSeen& a, const ReplicaSeen& b) { return a.id < b.id; });
  for (const std::string& slot : slot_names()) {
    if (claimed.contains(slot)) continue;
    const auto lock = scan.slots.find(slot);
    const bool held = lock != scan.slots.end() && lock->second.held;
    const GpuUse use = gpus_->use(slot, TimePoint{});
    if (held || use == GpuUse::busy) ++out.seen.unusable.count;
    if (!held && use == GpuUse::free) out.free.insert(slot);
  }
  return out;
}

awaitable<void> ProcessFleet::check_health(const Scan& scan) {
  std::vector<process::HealthTarget> targets;
  for (const ReplicaOnDisk& disk : scan.replicas) {
    if (!disk.alive || !disk.record || !disk.record->engine || disk.record->port == 0 || process::told(disk)) continue;
    if (disk.ready_at) health_->recall(disk.id, *disk.ready_at);
    const auto deployment = options_.deployments.find(disk.record->deployment);
    const std::string path =
        deployment == options_.deployments.end() ? disk.record->health_path : deployment->second.config.health_path;
    process::HealthTarget target;
    target.replica = disk.id;
    target.url = "http://127.0.0.1:" + std::to_string(disk.record->port) + path;
    targets.push_back(std::move(target));
  }
  co_await health_->probe(std::move(targets), options_.fleet.health_interval);
}

awaitable<void> ProcessFleet::note_ready(const Scan& scan) {
  std::vector<std::pair<std::string, shim::Order>> notes;
  for (const ReplicaOnDisk& disk : scan.replicas) {
    const process::Health* health = health_->of(disk.id);
    if (disk.ready_at || health == nullptr || !health->ready_since) continue;
    notes.emplace_back(paths_.replica(disk.id), shim::Order{ms_of(*health->ready_since), std::nullopt});
  }
  if (notes.empty() || closed_) co_return;
  auto work = [notes = std::move(notes)] {
    // A note that cannot be written costs a restarted daemon one health check, nothing else.
    for (const auto& [dir, order] : notes) (void)write_order(dir, shim::kReady, order);
    return Done{};
  };
  co_await worker_.run(std::move(work));
}

awaitable<Result<Fleet::Applied>> ProcessFleet::apply(Action action) {
  if (action.kind == ActionKind::start) co_return co_await start(std::move(action));
  co_return co_await order(std::move(action));
}

awaitable<Result<Fleet::Applied>> ProcessFleet::order(Action action) {
  if (closed_) co_return cancelled();
  const long long now_ms = ms_of(clock_.now());
  const bool drain = action.kind == ActionKind::drain;
  const shim::Order order{drain ? ms_of(action.deadline) : now_ms, now_ms};
  std::vector<std::string> dirs;
  for (const ReplicaId& id : action.replicas) dirs.push_back(paths_.replica(id));
  auto work = [dirs = std::move(dirs), order, name = drain ? shim::kDrain : shim::kEvict]() -> Result<Applied> {
    Applied applied;
    std::optional<Error> problem;
    for (const std::string& dir : dirs) {
      // One that cannot be told does not keep the others from being told.
      const Status written = write_order(dir, name, order);
      if (!written.ok()) problem = written.error();
    }
    if (!problem) return applied;
    problem->retryable = true;
    return *problem;
  };
  co_return co_await worker_.run(std::move(work));
}

awaitable<Status> ProcessFleet::renew(std::vector<ReplicaId> replicas, TimePoint now) {
  if (closed_) co_return cancelled();
  const shim::Order lease{ms_of(now + options_.fleet.lease_ttl), ms_of(now)};
  std::vector<std::string> dirs;
  for (const ReplicaId& id : replicas) dirs.push_back(paths_.replica(id));
  auto work = [dirs = std::move(dirs), lease]() -> Status {
    Status worst = Done{};
    for (const std::string& dir : dirs) {
      std::error_code error;
      if (!std::filesystem::is_directory(dir, error)) continue;
      const Status written = shim::replace_file(dir, shim::kLease, shim::to_text(lease), shim::Sync::no);
      if (!written.ok() && std::filesystem::is_directory(dir, error)) worst = written;
    }
    return worst;
  };
  co_return co_await worker_.run(std::move(work));
}

awaitable<Status> ProcessFleet::forget(std::vector<ReplicaId> replicas) {
  if (closed_) co_return cancelled();
  // One that was not seen gone keeps its directory, and with it its claim on the slots.
  std::erase_if(replicas, [&](const ReplicaId& id) {
    const auto memory = memory_.find(id);
    return memory == memory_.end() || !memory->second.gone;
  });
  auto work = [paths = paths_, replicas = std::move(replicas), keep = options_.keep_ended]() -> Status {
    Status worst = Done{};
    for (const ReplicaId& id : replicas) {
      Status retired = process::retire(paths, id, keep);
      if (!retired.ok()) worst = std::move(retired);
    }
    return worst;
  };
  co_return co_await worker_.run(std::move(work));
}

}  // namespace ebb
