#include "daemon/pull/full_check.hpp"

#include <set>

#include "daemon/pull/build.hpp"
#include "daemon/pull/strict_json.hpp"

namespace ebb::pull {
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kAdapterConfig = "adapter_config.json";
constexpr std::size_t kConfigMax = 16u << 20;
constexpr int kDepthMax = 64;

Error malformed(const std::string& what) { return Error{ErrorCode::malformed, what, false}; }

bool is_shard(const std::string& name) {
  return ends_with(name, ".safetensors") && name.find('/') == std::string::npos;
}

Status check_config(const std::string& directory, const std::string& name) {
  const auto text = shim::read_file(directory + "/" + name, kConfigMax);
  if (!text) return malformed(name + " cannot be read");
  const auto config = parse_strictly(*text, kDepthMax);
  if (!config.ok()) return malformed(name + ": " + config.error().what);
  return Done{};
}

/// Shards and index agree, in both directions.
Status check_shards(const std::string& directory, const std::set<std::string>& shards, const Index* index) {
  std::set<std::string> tensors;
  for (const std::string& shard : shards) {
    const Result<TensorFile> file = read_shard(directory, shard, index);
    if (!file.ok()) return file.error();
    for (const Tensor& tensor : file->tensors) {
      if (!tensors.insert(tensor.name).second)
        return malformed("the tensor '" + shim::printable(tensor.name) + "' is in two files");
    }
  }
  if (index == nullptr) return Done{};
  for (const auto& [tensor, file] : index->files) {
    if (!shards.contains(file)) return malformed("the index names " + file + ", which is not there");
    if (!tensors.contains(tensor))
      return malformed("the index lists '" + shim::printable(tensor) + "', which " + file + " does not hold");
  }
  return Done{};
}

}  // namespace

Result<FullSnapshot> check_full(const std::string& directory, const std::vector<FileSize>& files) {
  std::set<std::string> names;
  std::set<std::string> shards;
  for (const FileSize& file : files) {
    names.insert(file.name);
    if (is_shard(file.name)) shards.insert(file.name);
  }
  FullSnapshot snapshot;
  const bool adapter = names.contains(kAdapterConfig);
  if (!adapter && !names.contains(kConfig)) return malformed("there is no config.json");
  if (const Status config = check_config(directory, adapter ? kAdapterConfig : kConfig); !config.ok())
    return config.error();
  if (!names.contains(kIndexName)) {
    const bool single = shards.size() == 1 && shards.contains("model.safetensors");
    if (!adapter && !single) return malformed(std::string("there is no ") + kIndexName);
    if (const Status well = check_shards(directory, shards, nullptr); !well.ok()) return well.error();
    return snapshot;
  }
  const auto text = shim::read_file(directory + "/" + kIndexName, kIndexMax + 1);
  if (!text || text->size() > kIndexMax) return malformed("the index cannot be read or is longer than 64 MiB");
  const Result<Index> index = index_from(*text);
  if (!index.ok()) return index.error();
  if (index->delta) return malformed("it is said to be full, and its index has a delta_encoding: it is an increment");
  snapshot.version = index->version;
  if (const Status well = check_shards(directory, shards, &*index); !well.ok()) return well.error();
  return snapshot;
}

}  // namespace ebb::pull
