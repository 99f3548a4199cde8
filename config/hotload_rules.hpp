// What each way of loading weights can honour. Pure; the loader refuses by it, and the adapters' `capabilities` are it.
#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"

namespace ebb {

/// Sources: shared knowledge of the vendors' documentation, in docs/snapshots.md ("what is honoured where").
HotloadCapabilities capabilities_of(const HotloadConfig& config);

/// Empty, or why replicas loaded this way cannot take snapshots as configured: the transition, the reset, LoRA.
std::string refusal_of(const HotloadConfig& config, const SnapshotsConfig& snapshots);

/// "vllm", "fireworks", ... as in YAML.
std::string_view to_string(HotloadKind kind);

/// Fireworks and CoreWeave: their own machines, reached through their API.
bool is_vendor(HotloadKind kind);

}  // namespace ebb
