// What is remembered of one engine while it is told to load: values, no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "daemon/model/weights.hpp"

namespace ebb {

struct EngineMemory {
  // updates that run in the background
  int tasks = 0;                   ///< not ended yet; one talks to the engine, the others wait for their turn
  bool busy = false;               ///< one does
  std::int64_t newest = 0;         ///< number of the newest; what older ones find out is of no interest
  std::string order;               ///< its id
  Identity target;                 ///< its
  std::optional<Identity> before;  ///< what was loaded when it began
  std::optional<std::pair<Identity, std::string>> failed;  ///< target and reason of the newest, when it has failed
  // what was seen
  std::string version;       ///< as last read
  std::string incarnation;   ///< as last read
  bool met = false;          ///< the incarnation was asked for, and nothing has happened since that could change it
  TimePoint orphan_since{};  ///< it is at an update that nobody here has begun; zero: it is not
  bool paused = false;       ///< by us
  std::map<Identity, std::string> directories;  ///< where what was staged is, on its host
};

/// While an engine's weights change its version is a mark instead of an identity, which has no slash:
///
///   ebb/loading/TARGET/BEFORE/RESET,TRANSITION/DIRECTORY
///
/// So after a crash at any moment it never claims weights that it has only parts of, and a daemon that comes later sees
/// what was under way, and can end it.
struct UpdateMark {
  Identity target;
  std::string before;  ///< empty: nothing of ours
  ResetCache reset = ResetCache::all;
  LoadTransitionMode transition = LoadTransitionMode::async;
  std::string directory;
  friend bool operator==(const UpdateMark&, const UpdateMark&) = default;
};
std::string update_mark(const UpdateMark& mark);
std::optional<UpdateMark> update_mark_from(const std::string& version);

/// The version as an identity, when it could be one of ours.
std::optional<Identity> identity_of_version(const std::string& version);
/// The identity of a LoRA adapter is the name of the directory that it was loaded from.
std::optional<Identity> identity_of_path(std::string path);

/// N of "weight_vN", six digits; nothing: another name.
std::optional<int> number_of_version(const Identity& identity);

/// `process_start_time_seconds` of a metrics page; empty: it does not say.
std::string start_time_in(const std::string& page);

}  // namespace ebb
