#include "adapters/process/judge.hpp"

namespace ebb::process {
namespace {

constexpr const char* kExited = "exited";  // the shim's word for an end nobody asked for

TimePoint at_ms(long long ms) { return TimePoint{Duration{ms}}; }

/// When it ought to have left. An order whose text cannot be read counts from when it was seen.
TimePoint deadline_of(const Facts& facts, const Memory& memory) {
  const ReplicaOnDisk& disk = facts.disk;
  const TimePoint seen = memory.leaving_seen.value_or(facts.now);
  if (disk.evict) return disk.evict->at_ms > 0 ? at_ms(disk.evict->at_ms) : seen;
  if (disk.drain && disk.drain->at_ms > 0) return at_ms(disk.drain->at_ms);
  return seen + (disk.record ? disk.record->drain_timeout : Duration{60'000});
}

std::string leaving_text(const ReplicaOnDisk& disk) {
  if (disk.leaving) return disk.leaving->reason;
  return disk.evict ? "evict" : "drain";
}

Verdict leaving(const Facts& facts, const Memory& memory) {
  const TimePoint deadline = deadline_of(facts, memory);
  Verdict verdict;
  verdict.since = memory.leaving_seen.value_or(facts.now);
  verdict.detail = leaving_text(facts.disk);
  verdict.phase = facts.now > deadline + facts.grace ? ReplicaPhase::lost : ReplicaPhase::draining;
  if (verdict.phase == ReplicaPhase::lost) verdict.detail += "; still there after its deadline " + to_iso(deadline);
  return verdict;
}

Verdict living(const Facts& facts) {
  Verdict verdict;
  const ReplicaOnDisk& disk = facts.disk;
  verdict.since = disk.record ? disk.record->started_at : facts.now;
  verdict.detail = disk.broken;
  if (facts.health == nullptr) return verdict;
  if (facts.health->unhealthy_since) {
    verdict.phase = ReplicaPhase::unhealthy;
    verdict.since = *facts.health->unhealthy_since;
    verdict.detail = std::to_string(facts.health->failures) + " health checks failed in a row";
  } else if (facts.health->was_ready) {
    verdict.phase = ReplicaPhase::ready;
    verdict.since = facts.health->ready_since.value_or(facts.now);
  }
  return verdict;
}

/// Its shim is dead, and something of it is not, or may not be.
Verdict remains(const Facts& facts, const Memory& memory, const std::string& what) {
  const TimePoint seen = memory.dead_seen.value_or(facts.now);
  Verdict verdict;
  verdict.phase = facts.now > seen + facts.grace ? ReplicaPhase::lost : ReplicaPhase::draining;
  verdict.since = seen;
  verdict.detail = what;
  return verdict;
}

Verdict gone(const Facts& facts) {
  const ReplicaOnDisk& disk = facts.disk;
  Verdict verdict;
  verdict.phase = ReplicaPhase::gone;
  verdict.since = facts.now;
  if (disk.exit) {
    verdict.since = disk.exit->at;
    verdict.detail = ending_text(*disk.exit, disk.last_line);
    verdict.failed = disk.exit->reason == kExited;
  } else if (facts.other_boot) {
    // Not the engine's fault: a back-off per replica would keep a restarted host empty for minutes.
    verdict.detail = "the host was restarted";
  } else if (disk.record || !disk.broken.empty()) {
    verdict.detail = told(disk) ? "its shim was killed while it was leaving" : "its shim was killed";
    verdict.failed = !told(disk);
    if (!disk.broken.empty()) verdict.detail += "; " + disk.broken;
  } else {
    verdict.detail = disk.refused.empty() ? "never started" : "not started: " + disk.refused;
  }
  return verdict;
}

}  // namespace

bool told(const ReplicaOnDisk& disk) { return disk.drain || disk.evict || disk.leaving; }

std::string ending_text(const Exit& exit, const std::string& last_line) {
  std::string how = exit.signal ? "killed by signal " + std::to_string(*exit.signal)
                                : "exit status " + std::to_string(exit.code.value_or(-1));
  if (exit.reason == kExited) return last_line.empty() ? how : how + "; last log line: " + last_line;
  return exit.reason + (exit.forced ? ", killed at the deadline" : ", " + how);
}

Verdict judge(const Facts& facts, const Memory& memory) {
  const ReplicaOnDisk& disk = facts.disk;
  if (disk.alive) return told(disk) || disk.exit ? leaving(facts, memory) : living(facts);
  const bool recorded = disk.record || !disk.broken.empty();
  if (!recorded && facts.spawning) return living(facts);
  if (memory.gone) return gone(facts);
  if (facts.survivors > 0) {
    const std::string count = std::to_string(facts.survivors);
    return remains(facts, memory, count + " processes outlived its shim and are being killed");
  }
  if (facts.slot_held) return remains(facts, memory, "its shim is dead, something of it still holds its slot's lock");
  if (!recorded) return gone(facts);  // nothing ran, so no GPU can be its
  if (facts.gpus == GpuUse::busy) return remains(facts, memory, "ended, its GPUs' memory is still in use");
  if (facts.gpus == GpuUse::unknown)
    return remains(facts, memory, "ended, its GPUs' memory has not been seen free yet");
  return gone(facts);
}

}  // namespace ebb::process
