#include "adapters/process/disk.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "daemon/shim/layout.hpp"

namespace ebb::process {
namespace {

namespace fs = std::filesystem;
using shim::LockState;

std::optional<shim::Order> order_in(const std::string& path) {
  const std::optional<std::string> text = shim::read_file(path, 256);
  if (!text) return std::nullopt;
  // An order is an order, even when its time cannot be read.
  return shim::order_from(*text).value_or(shim::Order{});
}

void read_record(ReplicaOnDisk& replica, const std::string& dir) {
  const std::optional<std::string> text = shim::read_file(dir + "/" + shim::kRecord);
  if (!text) return;
  Result<Record> record = record_from(*text);
  if (record.ok() && record->replica != replica.id)
    record = Error{ErrorCode::malformed, "replica.json is of another replica", false};
  if (record.ok()) {
    replica.record = std::move(record).value();
  } else {
    replica.broken = record.error().what;
  }
}

void read_words(ReplicaOnDisk& replica, const std::string& dir) {
  const auto text = [&](const char* name) { return shim::read_file(dir + "/" + name); };
  if (const auto exit = text(shim::kExit)) replica.exit = exit_from(*exit).value_or(Exit{});
  if (const auto leaving = text(shim::kLeaving)) replica.leaving = leaving_from(*leaving).value_or(Leaving{});
  if (const auto refused = text(shim::kRefused)) replica.refused = refusal_from(*refused);
  if (const auto ready = order_in(dir + "/" + shim::kReady)) replica.ready_at = TimePoint{Duration{ready->at_ms}};
  replica.drain = order_in(dir + "/" + shim::kDrain);
  replica.evict = order_in(dir + "/" + shim::kEvict);
}

bool lives(const std::string& dir) { return shim::probe_lock(dir + "/" + shim::kAliveLock) == LockState::held; }

/// Kills what is left of a shim that died without a word, and says what was there.
std::vector<shim::ProcessId> kill_survivors(const ReplicaOnDisk& replica, const std::string& dir) {
  const std::vector<shim::ProcessId> left = survivors(replica.record, dir, shim::all_processes());
  for (const shim::ProcessId& process : left) shim::kill_exactly(process, SIGKILL);
  return left;
}

ReplicaOnDisk read_replica(const std::string& dir, ReplicaId id, const std::string& boot) {
  ReplicaOnDisk replica;
  replica.id = std::move(id);
  replica.alive = lives(dir);
  read_record(replica, dir);
  // The shim may have been born, or have ended, since the first look at its lock. It locks before it records, and it
  // writes exit.json before it unlocks, so a second look after the record, and the words after that, settle it.
  const bool has_record = replica.record || !replica.broken.empty();
  if (!replica.alive && has_record) replica.alive = lives(dir);
  read_words(replica, dir);
  if (replica.alive) return replica;
  replica.last_line = shim::last_line(dir + "/" + shim::kEngineLog);
  const bool same_boot = !replica.record || replica.record->boot_id == boot;
  if (has_record && !replica.exit && same_boot) replica.survivors = kill_survivors(replica, dir);
  return replica;
}

void prune(const std::string& ended, std::size_t keep) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> dirs;
  for (const fs::directory_entry& entry : fs::directory_iterator(ended, error)) {
    std::error_code gone;
    const fs::file_time_type at = entry.last_write_time(gone);
    if (!gone) dirs.emplace_back(at, entry.path());
  }
  std::sort(dirs.begin(), dirs.end());
  for (std::size_t i = 0; i + keep < dirs.size(); ++i) fs::remove_all(dirs[i].second, error);
}

}  // namespace

std::string Paths::slots() const { return base + "/" + shim::kSlots; }
std::string Paths::slot(const std::string& name) const { return slots() + "/" + shim::file_name(name) + ".lock"; }
std::string Paths::replicas() const { return base + "/" + shim::kReplicas; }
std::string Paths::replica(const ReplicaId& id) const { return replicas() + "/" + shim::file_name(id.value); }
std::string Paths::ended() const { return base + "/" + shim::kEnded; }

std::vector<shim::ProcessId> survivors(const std::optional<Record>& record, const std::string& dir,
                                       const std::vector<shim::ProcessStat>& processes) {
  bool group_is_ours = record && record->engine;
  for (const shim::ProcessStat& process : processes) {
    // A leader with the right number and the wrong start: the number was given away again, and its group with it.
    if (group_is_ours && process.pid == record->engine->pid && process.start_ticks != record->engine->start_ticks) {
      group_is_ours = false;
    }
  }
  const unsigned long long not_before = record ? record->shim.start_ticks : 0;
  const std::string tag = std::string(shim::kTagVariable) + "=" + dir;
  std::vector<shim::ProcessId> out;
  for (const shim::ProcessStat& process : processes) {
    const bool dead = process.state == 'Z' || process.state == 'X';
    if (dead || process.pid <= 1 || process.pid == ::getpid() || process.start_ticks < not_before) continue;
    const bool in_group = group_is_ours && process.group == record->group && process.session == record->shim.pid;
    if (in_group || shim::has_variable(process.pid, tag)) out.push_back({process.pid, process.start_ticks});
  }
  return out;
}

Result<Scan> scan(const Paths& paths, const std::vector<std::string>& slots) {
  std::error_code error;
  for (const std::string& dir : {paths.slots(), paths.replicas(), paths.ended()}) {
    fs::create_directories(dir, error);
    if (error) return Error{ErrorCode::internal, "cannot create " + dir + ": " + error.message(), true};
  }
  Scan result;
  const std::string boot = shim::boot_id();
  fs::directory_iterator entry(paths.replicas(), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code not_a_directory;
    if (!entry->is_directory(not_a_directory)) continue;
    const std::string name = entry->path().filename().string();
    result.replicas.push_back(read_replica(entry->path().string(), ReplicaId(shim::name_of_file(name)), boot));
  }
  if (error) return Error{ErrorCode::internal, "cannot read " + paths.replicas() + ": " + error.message(), true};
  std::sort(result.replicas.begin(), result.replicas.end(),
            [](const ReplicaOnDisk& a, const ReplicaOnDisk& b) { return a.id < b.id; });
  // After the replicas: one that ended meanwhile shows as a slot that is still its own, not as one taken by nobody.
  for (const std::string& slot : slots) {
    SlotOnDisk& seen = result.slots[slot];
    seen.held = shim::probe_lock(paths.slot(slot)) == LockState::held;
    if (!seen.held) continue;
    const std::string text = shim::read_file(paths.slot(slot), 4096).value_or("");
    const std::size_t space = text.rfind(' ');
    if (space != std::string::npos) seen.holder = text.substr(0, space);
  }
  return result;
}

Status retire(const Paths& paths, const ReplicaId& id, std::size_t keep) {
  const std::string dir = paths.replica(id);
  std::error_code error;
  if (!fs::exists(dir, error)) return Done{};
  // Held until the directory has moved: a shim that is only now about to start in it gets neither lock nor directory.
  const Result<shim::Fd> alive = shim::take_lock(dir + "/" + shim::kAliveLock);
  if (!alive.ok()) return alive.error();
  ReplicaOnDisk replica;
  replica.id = id;
  read_record(replica, dir);
  read_words(replica, dir);
  const bool other_boot = replica.record && replica.record->boot_id != shim::boot_id();
  if (!replica.exit && !other_boot && !kill_survivors(replica, dir).empty()) {
    return Error{ErrorCode::conflict, "processes of replica " + id.value + " are still there", false};
  }
  const std::string to = paths.ended() + "/" + shim::file_name(id.value);
  fs::remove_all(to, error);
  fs::rename(dir, to, error);
  if (error) return Error{ErrorCode::internal, "cannot move " + dir + ": " + error.message(), true};

  prune(paths.ended(), keep);
  return Done{};
}

}  // namespace ebb::process
