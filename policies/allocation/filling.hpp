// Progressive filling: the step that fair allocations are made of.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

/// Fills each claim up to its limit, the one with the least GPUs per weight first; returns what is left of the room.
/// A claim that is too large for what is left gives way to smaller ones. Ties go to the earlier claim.
Gpus fill(Gpus room, const std::vector<Claim>& claims, const std::vector<Replicas>& limits,
          std::vector<Replicas>& given);

/// The part of each claim that is promised.
std::vector<Replicas> guarantees_of(const std::vector<Claim>& claims);
/// All of each claim.
std::vector<Replicas> caps_of(const std::vector<Claim>& claims);

}  // namespace ebb
