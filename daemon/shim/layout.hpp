// What a process fleet keeps on disk, shared by ebb-shim (writes it) and adapters/process (reads it).
//
//   <fleet directory>/
//     slots/<gpu>.lock            one per GPU slot; flock'ed by the shim that owns it, for the shim's whole life.
//                                 Its text names the holder. `flock slots/3.lock sleep inf` takes GPU 3 out of Ebb's
//                                 hands.
//     replicas/<replica>/
//       alive.lock                flock'ed while the shim lives: the proof that it does, which no reused pid can give
//       replica.json              the record: written and synced before the engine starts, completed before its exec
//       engine.log  engine.log.1  what the engine prints; copied away and cut at a size cap
//       shim.log                  what the shim and the launcher have to say
//       drain  evict  lease       orders from the daemon: "<unix ms, deadline or expiry> <unix ms, written at>"
//       leaving.json              the shim's word that it is taking the engine down, and why
//       exit.json                 how it ended; nothing of the replica runs any more when it exists
//       refused.json              why the shim did not start the engine
//       ready                     the daemon saw the engine healthy; its text is when (unix ms)
//     ended/<replica>/            the last few that are gone, for their logs
#pragma once

#include <string>
#include <string_view>

namespace ebb::shim {

inline constexpr const char* kSlots = "slots";
inline constexpr const char* kReplicas = "replicas";
inline constexpr const char* kEnded = "ended";
inline constexpr const char* kAliveLock = "alive.lock";
inline constexpr const char* kRecord = "replica.json";
inline constexpr const char* kEngineLog = "engine.log";
inline constexpr const char* kOldEngineLog = "engine.log.1";
inline constexpr const char* kShimLog = "shim.log";
inline constexpr const char* kDrain = "drain";
inline constexpr const char* kEvict = "evict";
inline constexpr const char* kLease = "lease";
inline constexpr const char* kLeaving = "leaving.json";
inline constexpr const char* kExit = "exit.json";
inline constexpr const char* kRefused = "refused.json";
inline constexpr const char* kReady = "ready";

/// Set for the engine and inherited by what it starts: how a stray grandchild of a dead shim is recognised.
inline constexpr const char* kTagVariable = "EBB_REPLICA_DIR";

// Exit codes of `ebb-shim` in the foreground; the supervisor itself lives on in the background.
inline constexpr int kStarted = 0;
inline constexpr int kUsage = 64;
inline constexpr int kFailed = 70;       ///< disk, fork: nothing was started
inline constexpr int kAlready = 73;      ///< this replica has a shim or a record already
inline constexpr int kRefusedSlot = 75;  ///< a slot is taken

/// A name as one path component: what could leave the directory or hide in it becomes %XX.
std::string file_name(std::string_view name);
/// The way back.
std::string name_of_file(std::string_view file);

}  // namespace ebb::shim
