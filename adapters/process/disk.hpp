// What a process fleet finds on disk and in /proc. Blocking: runs on the fleet's worker.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/time.hpp"
#include "daemon/shim/files.hpp"
#include "daemon/shim/process_info.hpp"

namespace ebb::process {

/// Where things are; see daemon/shim/layout.hpp.
struct Paths {
  std::string base;
  [[nodiscard]] std::string slots() const;
  [[nodiscard]] std::string slot(const std::string& name) const;
  [[nodiscard]] std::string replicas() const;
  [[nodiscard]] std::string replica(const ReplicaId& id) const;
  [[nodiscard]] std::string ended() const;
};

/// replica.json, as far as the fleet needs it.
struct Record {
  ReplicaId replica;
  DeploymentId deployment;
  std::vector<std::string> slots;
  int port = 0;
  std::string health_path;
  bool rl = false;
  Duration drain_timeout{60'000};
  std::string boot_id;
  TimePoint started_at{};
  shim::ProcessId shim;
  std::optional<shim::ProcessId> engine;  ///< absent when the shim died before it had forked
  pid_t group = 0;
};
/// `malformed` names what is missing.
Result<Record> record_from(const std::string& text);

/// exit.json
struct Exit {
  std::string reason = "unknown";
  std::optional<int> code;
  std::optional<int> signal;
  bool forced = false;
  TimePoint at{};
};
std::optional<Exit> exit_from(const std::string& text);

/// leaving.json
struct Leaving {
  std::string reason = "unknown";
  TimePoint at{};
  TimePoint deadline{};
};

std::optional<Leaving> leaving_from(const std::string& text);
/// The reason in refused.json.
std::string refusal_from(const std::string& text);

/// One replica's directory.
struct ReplicaOnDisk {
  ReplicaId id;
  bool alive = false;  ///< its shim lives
  std::optional<Record> record;
  std::string broken;  ///< why the record cannot be read; empty when it can, or when there is none
  std::optional<Exit> exit;
  std::optional<shim::Order> drain;  ///< the daemon's order
  std::optional<shim::Order> evict;
  std::optional<Leaving> leaving;
  std::optional<TimePoint> ready_at;
  std::string refused;                     ///< why the shim did not start it
  std::string last_line;                   ///< of the engine's log; only of one that has ended
  std::vector<shim::ProcessId> survivors;  ///< processes of a dead shim that were still there; they have been killed
};

/// A slot's lock.
struct SlotOnDisk {
  bool held = false;
  std::string holder;  ///< the replica its text names; empty when unknown
};

struct Scan {
  std::vector<ReplicaOnDisk> replicas;      ///< sorted by id
  std::map<std::string, SlotOnDisk> slots;  ///< the configured ones
};

/// Reads everything. What a shim that died without a word left running is killed on the way, each process checked by
/// start time. An error means that nothing is known.
Result<Scan> scan(const Paths& paths, const std::vector<std::string>& slots);

/// Processes that the record's shim left behind: its group, and whatever carries the replica's tag.
std::vector<shim::ProcessId> survivors(const std::optional<Record>& record, const std::string& dir,
                                       const std::vector<shim::ProcessStat>& processes);

/// Moves the directory of an ended replica to `ended/`, of which the newest `keep` stay. One whose shim lives, or with
/// survivors, stays where it is.
Status retire(const Paths& paths, const ReplicaId& id, std::size_t keep);

}  // namespace ebb::process
