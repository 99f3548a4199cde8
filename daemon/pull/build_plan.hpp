// What a build has to do, tensor by tensor. Internal to build.cpp and its tests.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/pull/build.hpp"

namespace ebb::pull {

/// One increment of one tensor: where its payload is.
struct Patch {
  std::string path;
  std::uint64_t at = 0;
  std::uint64_t bytes = 0;
  DeltaFormat format;
  std::string sum;
  std::string identity;
};

/// One tensor of the base, and what goes on top of it.
struct Piece {
  std::size_t shard = 0;
  std::uint64_t at = 0;
  std::uint64_t bytes = 0;
  std::string name;  ///< for errors
  std::vector<Patch> patches;
};

struct Shard {
  std::string name;
  std::uint64_t bytes = 0;
};

struct BuildPlan {
  std::vector<Shard> shards;       ///< those that are written anew
  std::vector<Piece> pieces;       ///< of these, largest first; the head of each shard is one
  std::vector<std::string> links;  ///< files of the base that stay as they are
  std::optional<std::string> version;
  std::uint64_t tensors_changed = 0;
  [[nodiscard]] std::uint64_t bytes() const;
};

Result<BuildPlan> plan_build(const Build& job);

}  // namespace ebb::pull
