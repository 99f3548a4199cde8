// A complete snapshot and increments on top of it make the next one, in a directory of its own: nobody who reads the
// old one is disturbed, and a half-applied one never has the final name.
#pragma once

#include <string>
#include <vector>

#include "daemon/pull/index.hpp"
#include "daemon/pull/safetensors.hpp"
#include "daemon/pull/shelf.hpp"
#include "daemon/pull/work.hpp"

namespace ebb::pull {

/// An increment, downloaded.
struct Increment {
  std::string identity;
  std::string directory;
  Index index;  ///< with `delta`
};

struct Build {
  std::string base_directory;
  Complete base;
  std::vector<Increment> increments;  ///< in order, each on the one before
  std::string target_directory;       ///< exists, empty
  unsigned threads = 2;
};

/// What the target holds.
struct Built {
  std::vector<FileSize> files;
  std::optional<std::string> version;
  std::uint64_t tensors_changed = 0;
  std::uint64_t bytes_written = 0;
};

/// Reads and checks the head of a shard, and that the index puts each of its tensors there.
Result<TensorFile> read_shard(const std::string& directory, const std::string& name, const Index* index);

/// Files without a changed tensor are hard links, the others are written once, whatever the number of increments: each
/// piece of a tensor goes through all of them, and the checksum of every increment is checked on the way. Synced when
/// it returns. `conflict`: an increment's base_version is not the version below it. `malformed`: an increment that is
/// damaged or does not belong on these weights.
Result<Built> build(const Build& job, Progress& progress, const Stop& stop);

}  // namespace ebb::pull
