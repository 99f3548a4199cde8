// What differs between engines that take weights over HTTP. One engine, one call; what is common (staging, updates in
// the background, what is reported) is in engine_hotload.hpp.
#pragma once

#include <optional>
#include <string>

#include "adapters/engines/engine_http.hpp"
#include "daemon/ports/hotload.hpp"

namespace ebb {

/// What an engine says of itself.
struct EngineState {
  std::string version;         ///< its weight version; of a LoRA adapter the path it was loaded from; empty: none
  std::optional<bool> paused;  ///< not told by every engine
};

struct EngineUpdate {
  Identity identity;
  std::string directory;
  LoadTransitionMode transition = LoadTransitionMode::async;
  ResetCache reset = ResetCache::all;
  TimePoint deadline{};
};

/// How an update ended. `intact`: the engine has refused it and still has all of its old weights.
struct EngineOutcome {
  Status status = Done();
  bool intact = false;
};

/// Stateless; every call returns before its deadline. Errors as of `Hotload::signal`.
class EngineDialect {
 public:
  virtual ~EngineDialect() = default;
  /// `not_found`: it has no such endpoint; then the text says what it needs to be started with.
  virtual awaitable<Result<EngineState>> read(std::string url, TimePoint deadline) const = 0;
  virtual awaitable<Status> pause(std::string url, LoadTransitionMode transition, ResetCache reset,
                                  TimePoint deadline) const = 0;
  virtual awaitable<Status> resume(std::string url, TimePoint deadline) const = 0;
  /// The engine itself brings the target's files to where it loads them from.
  virtual awaitable<Status> pull(std::string url, LoadOrder order, TimePoint deadline) const = 0;
  /// From the paused engine to one that reports the new version; returns when it is done, minutes later.
  virtual awaitable<EngineOutcome> update(std::string url, EngineUpdate update) const = 0;
  /// Only changes what it reports, and aborts nothing.
  virtual awaitable<Status> name(std::string url, std::string version, TimePoint deadline) const = 0;
  /// Whether an update that was begun ends, and is named, though nobody waits for it any more.
  [[nodiscard]] virtual bool finishes_alone() const = 0;
};

}  // namespace ebb
