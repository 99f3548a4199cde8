#include "config/hotload_rules.hpp"

#include <array>

namespace ebb {
namespace {

// CoreWeave refuses a longer chain.
constexpr int kCoreweaveIncrementals = 128;

using Transition = LoadTransitionMode;

std::string reset_refusal(const HotloadConfig& config, ResetCache reset) {
  const HotloadCapabilities can = capabilities_of(config);
  if (can.resets.contains(reset)) return "";
  const std::string head =
      "reset_prompt_cache: " + std::string(to_string(reset)) + " cannot be honoured by " +
      std::string(to_string(config.kind)) + ": ";
  switch (config.kind) {
    case HotloadKind::vllm:
    case HotloadKind::sglang: return head + "an engine knows no sessions, only all or nothing";
    case HotloadKind::coreweave: return head + "it knows PRESERVE (none) and RESET_ALL (all)";
    default:
      return head + (config.reset_encoding == ResetEncoding::absent
                         ? "without the field (reset_encoding: absent) it resets all"
                         : "a bool (reset_encoding: boolean) says all or none");
  }
}

std::string transition_refusal(const HotloadConfig& config, Transition transition) {
  if (capabilities_of(config).transitions.contains(transition)) return "";
  const std::string head = "transition: " + std::string(to_string(transition)) + " cannot be honoured by " +
                           std::string(to_string(config.kind)) + ": ";
  if (config.kind == HotloadKind::sglang) return head + "it has no pause that waits for what is running";
  return head + "its API does not say what becomes of running requests; async promises nothing about them";
}

}  // namespace

std::string_view to_string(HotloadKind kind) {
  static constexpr std::array<std::string_view, 5> kWords{"none", "vllm", "sglang", "fireworks", "coreweave"};
  return kWords.at(static_cast<std::size_t>(kind));
}

bool is_vendor(HotloadKind kind) { return kind == HotloadKind::fireworks || kind == HotloadKind::coreweave; }

HotloadCapabilities capabilities_of(const HotloadConfig& config) {
  HotloadCapabilities can;
  switch (config.kind) {
    case HotloadKind::none: break;
    case HotloadKind::fireworks:
      can.by_replica = false;
      can.keeps_old_on_error = true;
      if (config.reset_encoding == ResetEncoding::absent) can.resets = {ResetCache::all};
      if (config.reset_encoding == ResetEncoding::boolean) can.resets = {ResetCache::all, ResetCache::none};
      break;
    case HotloadKind::coreweave:
      can.by_replica = false;
      can.incrementals_max = kCoreweaveIncrementals;
      can.transitions = {Transition::async};
      can.resets = {ResetCache::all, ResetCache::none};
      break;
    case HotloadKind::vllm:
    case HotloadKind::sglang:
      can.pauses = true;
      can.resets = {ResetCache::all, ResetCache::none};
      if (config.kind == HotloadKind::sglang) can.transitions = {Transition::async};
      can.incremental = config.weights_from != WeightsFrom::store;
      can.replays_chain = can.incremental;
      if (!can.incremental) {
        can.no_incremental_why = "the engines read whole snapshots out of the store (weights_from: store); ebb_pull "
                                 "applies incremental ones";
      }
      break;
  }
  return can;
}

std::string refusal_of(const HotloadConfig& config, const SnapshotsConfig& snapshots) {
  if (config.kind == HotloadKind::none) return "";
  if (snapshots.adapter && config.kind == HotloadKind::coreweave) return "coreweave loads no LoRA adapters";
  if (snapshots.adapter && config.weights_from == WeightsFrom::engine) {
    return "/pull_weights (weights_from: engine) brings no LoRA adapters";
  }
  if (std::string why = transition_refusal(config, snapshots.transition); !why.empty()) return why;
  return reset_refusal(config, snapshots.reset_prompt_cache);
}

}  // namespace ebb
