// What a snapshot's files must say to be what was published. Pure.
//
//   full         config.json, model.safetensors.index.json and each file that it names; or, without an index, the one
//                file model.safetensors
//   incremental  a. slime and Miles: the index has delta_encoding, and names what changed
//                b. vendors (arc_v2): the index is the parent's, and every file is there with the change inside
//   adapter      adapter_config.json, and adapter_model.safetensors, its parts, or adapter_model.bin
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/model/json_safetensors.hpp"
#include "daemon/model/snapshot.hpp"

namespace ebb {

inline constexpr const char* kIndexFile = "model.safetensors.index.json";
inline constexpr const char* kSingleFile = "model.safetensors";
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kAdapterConfigFile = "adapter_config.json";

/// What is remembered of a snapshot that was found whole, for those on top of it.
struct Lineage {
  Identity identity;
  std::string version;  ///< as its index says; empty: it does not
  /// All its tensors with their files; of a slime increment its parent's. Null: not known any more.
  std::shared_ptr<const std::map<std::string, std::string>> tensors;
};

/// Empty, or why the index is not that of the snapshot that was published. `parent`: null where it is not known.
std::string index_fault(const Snapshot& snapshot, const TensorIndex& index, const Lineage* parent);

/// Empty, or why the file does not hold what the index says. `named`: the tensors that should be in it. `delta`: of
/// slime's kind, each tensor with a checksum.
std::string shard_fault(const TensorFile& file, const std::set<std::string>& named, bool delta);

/// File -> tensors.
std::map<std::string, std::set<std::string>> by_file(const TensorIndex& index);

/// The files with a LoRA adapter's weights, out of those there are. Empty: none, or not all of its parts.
std::vector<std::string> adapter_files(const std::vector<std::string>& names);

}  // namespace ebb
