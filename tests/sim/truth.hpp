// What is so in the simulated world, as one value: the judge keeps the one that a decision was taken on.
#pragma once

#include <map>

#include "daemon/model/observation.hpp"

namespace ebb::sim {

/// What may be wrong with a read. Each lasts for some ticks. A liar tells no numbers, or of the future.
enum class ReadFault { none, down, slow, stale, partial, lying };

struct Body {
  DeploymentId deployment;
  ReplicaPhase phase = ReplicaPhase::starting;
  TimePoint since{}, started_at{};  ///< as the fleet tells them, wall
  TimePoint ready_at{}, gone_at{};  ///< steady
  TimePoint renewed_at{};           ///< steady
  bool stubborn = false;            ///< ignores a drain
  TimePoint immortal_until{};       ///< ignores an eviction until then
  bool failed = false;
  bool rl = false;
};

struct Truth {
  ReadFault fleet = ReadFault::none, chat = ReadFault::none, ext = ReadFault::none;
  std::map<ReplicaId, Body> bodies;
  std::map<DeploymentId, int> starting;  ///< start calls that have not been answered
  int load = 8;                          ///< requests in flight of `chat`
  int ext_wants = 0, ext_held = 0;       ///< GPUs of the other owner

  [[nodiscard]] int held(bool rl) const {
    int sum = 0;
    for (const auto& [id, body] : bodies) sum += body.rl == rl && body.phase != ReplicaPhase::gone ? 1 : 0;
    return sum;
  }
};

}  // namespace ebb::sim
