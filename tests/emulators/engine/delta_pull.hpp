// `/pull_weights` of SGLang's slime and Miles patch: brings a checkpoint on local disk to a version, in the on-disk
// format that they publish (versions in SOURCE/weight_vNNNNNN, increments as zstd-compressed `xor` or `overwrite` of
// each changed tensor, a checksum of each new tensor in the shard's metadata). Written from that description alone, so
// that it tests ebb-pull's understanding of it instead of sharing it.
#pragma once

#include <string>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

/// Success: `local` holds the whole of version `target`, and LOCAL/.weight_sync/state.json says so. A version that is
/// there already is a success. Where an increment of the way is missing or does not fit, nothing of it is applied.
Status pull_weights(const std::string& local, const std::string& source, int target);

/// -1: none.
int pulled_version(const std::string& local);

}  // namespace ebb::emulator
