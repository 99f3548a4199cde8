// From what is on disk to a phase. Pure.
#pragma once

#include <optional>
#include <string>

#include "adapters/process/disk.hpp"
#include "adapters/process/gpu.hpp"
#include "adapters/process/health.hpp"
#include "daemon/model/observation.hpp"

namespace ebb::process {

/// What the fleet remembers of a replica between two views. Not needed for being right, only for telling since when.
struct Memory {
  ReplicaPhase phase = ReplicaPhase::starting;
  TimePoint since{};
  std::optional<TimePoint> leaving_seen;  ///< when it was first seen to be told, or to be on its way out
  std::optional<TimePoint> dead_seen;     ///< when its shim was first seen dead
  std::vector<shim::ProcessId> killed;    ///< survivors of its shim; a dying one loses its marks before its GPU memory
  bool gone = false;                      ///< was seen gone; the slot may be another's since
};

struct Facts {
  explicit Facts(const ReplicaOnDisk& found) : disk(found) {}
  const ReplicaOnDisk& disk;
  const Health* health = nullptr;  ///< null when never probed
  GpuUse gpus = GpuUse::free;      ///< of its slots, after its shim was seen dead
  std::size_t survivors = 0;       ///< processes that outlived its shim and are not dead yet
  bool slot_held = false;          ///< a slot's lock is still held in its name although its shim is dead
  bool spawning = false;           ///< this daemon is starting it right now
  bool other_boot = false;         ///< recorded before the host's last restart
  Duration grace{30'000};          ///< after the deadline, until it counts as lost
  TimePoint now{};
};

struct Verdict {
  ReplicaPhase phase = ReplicaPhase::starting;
  TimePoint since{};  ///< the best the disk knows; the memory of an earlier view is better
  std::string detail;
  bool failed = false;
};

/// Somebody wants it to leave, or it is leaving.
bool told(const ReplicaOnDisk& disk);
Verdict judge(const Facts& facts, const Memory& memory);
/// "exit status 1; last log line: ...", "killed by signal 9", "lease lapsed, killed at the deadline"
std::string ending_text(const Exit& exit, const std::string& last_line);

}  // namespace ebb::process
