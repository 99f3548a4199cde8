#include "daemon/pull/build_plan.hpp"

#include <algorithm>
#include <set>

#include "daemon/pull/files.hpp"

namespace ebb::pull {
namespace {

Error malformed(const std::string& what) { return Error{ErrorCode::malformed, what, false}; }

/// Where each tensor of the base is.
struct Base {
  std::vector<Shard> shards;
  std::vector<TensorFile> files;
  std::map<std::string, std::pair<std::size_t, const Tensor*>> tensors;
};

Result<Base> read_base(const Build& job) {
  Base base;
  for (const FileSize& file : job.base.files) {
    if (!ends_with(file.name, ".safetensors") || file.name.find('/') != std::string::npos) continue;
    Result<TensorFile> read = read_shard(job.base_directory, file.name, nullptr);
    if (!read.ok())
      return Error{read.error().code, job.base.identity + ": " + read.error().what, read.error().retryable};
    base.shards.push_back({file.name, file.bytes});
    base.files.push_back(std::move(*read));
  }
  for (std::size_t shard = 0; shard < base.files.size(); ++shard) {
    for (const Tensor& tensor : base.files[shard].tensors) {
      if (!base.tensors.emplace(tensor.name, std::pair(shard, &tensor)).second)
        return malformed(job.base.identity + " has the tensor '" + shim::printable(tensor.name) + "' twice");
    }
  }
  return base;
}

using Patches = std::map<std::string, std::vector<Patch>>;  ///< by tensor

Status add_file(const Increment& increment, const std::string& name, const Base& base, std::set<std::string>& seen,
                Patches& patches) {
  const Result<TensorFile> file = read_shard(increment.directory, name, &increment.index);
  if (!file.ok())
    return Error{file.error().code, increment.identity + ": " + file.error().what, file.error().retryable};
  for (const Tensor& tensor : file->tensors) {
    const std::string who = increment.identity + ": tensor '" + shim::printable(tensor.name) + "'";
    if (tensor.dtype != "U8" || tensor.shape.size() != 1)
      return malformed(who + " is no row of U8, as an increment's are");
    if (!base.tensors.contains(tensor.name)) return malformed(who + " is not one of the weights it goes on");
    const auto sum = file->metadata.find(tensor.name);
    if (sum == file->metadata.end()) return malformed(who + " has no checksum in " + name);
    seen.insert(tensor.name);
    patches[tensor.name].push_back({increment.directory + "/" + name, tensor.begin, tensor.bytes(),
                                    *increment.index.delta, sum->second, increment.identity});
  }
  return Done{};
}

Status add_increment(const Increment& increment, const Base& base, Patches& patches) {
  if (!increment.index.delta)
    return malformed(increment.identity + " is no increment: its index has no delta_encoding");
  std::set<std::string> seen;
  for (const std::string& name : increment.index.file_names()) {
    if (Status added = add_file(increment, name, base, seen, patches); !added.ok()) return added;
  }
  for (const auto& [tensor, file] : increment.index.files) {
    if (!seen.contains(tensor))
      return malformed(increment.identity + ": the index lists '" + shim::printable(tensor) + "', which " + file +
                       " does not hold");
  }
  return Done{};
}

/// Each link on the one below, as far as they are numbered. What is not numbered has its checksums.
Status check_versions(const Build& job, std::optional<std::string>& version) {
  version = job.base.version;
  std::string below = job.base.identity;
  for (const Increment& increment : job.increments) {
    const auto& wants = increment.index.base_version;
    if (version && wants && *version != *wants) {
      return Error{ErrorCode::conflict,
                   "out-of-order increment: " + increment.identity + " goes on version '" + shim::printable(*wants) +
                       "', and " + below + " is '" + shim::printable(*version) + "'",
                   false};
    }
    version = increment.index.version;
    below = increment.identity;
  }
  return Done{};
}

}  // namespace

std::uint64_t BuildPlan::bytes() const {
  std::uint64_t sum = 0;
  for (const Shard& shard : shards) sum += shard.bytes;
  return sum;
}

Result<TensorFile> read_shard(const std::string& directory, const std::string& name, const Index* index) {
  const Result<Fd> fd = open_to_read(directory + "/" + name);
  if (!fd.ok()) return fd.error();
  Result<TensorFile> file = read_tensor_file(fd->get(), name);
  if (!file.ok() || index == nullptr) return file;
  for (const Tensor& tensor : file->tensors) {
    const auto listed = index->files.find(tensor.name);
    if (listed == index->files.end() || listed->second != name)
      return malformed(name + " holds '" + shim::printable(tensor.name) + "', which the index does not say");
  }
  return file;
}

Result<BuildPlan> plan_build(const Build& job) {
  BuildPlan plan;
  if (const Status fits = check_versions(job, plan.version); !fits.ok()) return fits.error();
  const Result<Base> base = read_base(job);
  if (!base.ok()) return base.error();
  Patches patches;
  for (const Increment& increment : job.increments) {
    if (const Status added = add_increment(increment, *base, patches); !added.ok()) return added.error();
  }
  plan.tensors_changed = patches.size();
  std::map<std::size_t, std::size_t> written;  // a base's shard, and its place in the plan
  for (const auto& [tensor, list] : patches) written.emplace(base->tensors.at(tensor).first, 0);
  std::set<std::string> changed;
  for (auto& [shard, place] : written) {
    place = plan.shards.size();
    plan.shards.push_back(base->shards[shard]);
    changed.insert(base->shards[shard].name);
    plan.pieces.push_back({place, 0, base->files[shard].data_at, "the head", {}});
    for (const Tensor& tensor : base->files[shard].tensors) {
      Piece piece{place, tensor.begin, tensor.bytes(), tensor.name, {}};
      if (const auto found = patches.find(tensor.name); found != patches.end())
        piece.patches = std::move(found->second);
      plan.pieces.push_back(std::move(piece));
    }
  }
  // The largest first, so that no thread is left with one when the others have nothing more to do.
  std::stable_sort(plan.pieces.begin(), plan.pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.bytes > b.bytes; });
  for (const FileSize& file : job.base.files) {
    if (!changed.contains(file.name) && file.name != kIndexName) plan.links.push_back(file.name);
  }
  return plan;
}

}  // namespace ebb::pull
