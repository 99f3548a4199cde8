#include "daemon/core/snapshot_files.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace ebb {
namespace {

/// Of slime's metadata: the word must be one of those that the format knows.
template <std::size_t N>
std::string word_fault(const TensorIndex& index, const char* key, const std::array<std::string_view, N>& known) {
  const auto at = index.metadata.find(key);
  if (at == index.metadata.end()) return std::string("its index has no ") + key;
  if (std::find(known.begin(), known.end(), at->second) != known.end()) return "";
  return std::string("its index has the unknown ") + key + " '" + at->second.substr(0, 32) + "'";
}

std::string delta_fault(const TensorIndex& index, const Lineage* parent) {
  static constexpr std::array<std::string_view, 2> kEncodings{"xor", "overwrite"};
  static constexpr std::array<std::string_view, 1> kCompressions{"zstd"};
  static constexpr std::array<std::string_view, 3> kChecksums{"xxh3-128", "blake3", "adler32"};
  if (std::string fault = word_fault(index, "delta_encoding", kEncodings); !fault.empty()) return fault;
  if (std::string fault = word_fault(index, "compression_format", kCompressions); !fault.empty()) return fault;
  if (std::string fault = word_fault(index, "checksum_format", kChecksums); !fault.empty()) return fault;
  const auto base = index.metadata.find("base_version");
  if (base == index.metadata.end()) return "its index has no base_version";
  if (parent == nullptr) return "";
  if (!parent->version.empty() && base->second != parent->version && base->second != parent->identity.value) {
    return "its base_version is " + base->second.substr(0, 64) + ", its parent " + parent->identity.value +
           " has version " + parent->version.substr(0, 64);
  }
  if (parent->tensors == nullptr) return "";
  for (const auto& [tensor, file] : index.weight_map) {
    if (!parent->tensors->contains(tensor)) return "the tensor " + tensor + " is not in its parent";
  }
  return "";
}

/// "00002" of a name that is `prefix`00002-of-00004.safetensors, with the 4.
std::optional<std::pair<int, int>> part_of(std::string_view name) {
  constexpr std::string_view kPrefix = "adapter_model-", kSuffix = ".safetensors", kOf = "-of-";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  const std::size_t of = name.find(kOf);
  if (of == std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view digits) {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() ? value : 0;
  };
  return std::pair(number(name.substr(0, of)), number(name.substr(of + kOf.size())));
}

}  // namespace

std::string index_fault(const Snapshot& snapshot, const TensorIndex& index, const Lineage* parent) {
  if (snapshot.full()) {
    if (index.is_delta()) return "it was published as full, but its index has a delta_encoding";
    return index.weight_map.empty() ? "its index names no tensor" : "";
  }
  if (index.is_delta()) return delta_fault(index, parent);
  if (index.weight_map.empty()) return "its index names no tensor";
  if (parent != nullptr && parent->tensors != nullptr && *parent->tensors != index.weight_map) {
    return "its index differs from that of its parent " + parent->identity.value +
           ", and has no delta_encoding that would let it";
  }
  return "";
}

std::string shard_fault(const TensorFile& file, const std::set<std::string>& named, bool delta) {
  for (const std::string& tensor : named) {
    const auto held = file.tensors.find(tensor);
    if (held == file.tensors.end()) return "the tensor " + tensor + " is not in it";
    if (!delta) continue;
    if (held->second.dtype != "U8") return "the change of " + tensor + " is no row of bytes (U8)";
    if (!file.metadata.contains(tensor)) return "the change of " + tensor + " has no checksum";
  }
  if (file.tensors.size() == named.size()) return "";
  const auto extra = std::find_if(file.tensors.begin(), file.tensors.end(),
                                  [&](const auto& entry) { return !named.contains(entry.first); });
  return "the tensor " + extra->first + " is in it, and not in the index";
}

std::map<std::string, std::set<std::string>> by_file(const TensorIndex& index) {
  std::map<std::string, std::set<std::string>> out;
  for (const auto& [tensor, file] : index.weight_map) out[file].insert(tensor);
  return out;
}

std::vector<std::string> adapter_files(const std::vector<std::string>& names) {
  for (const char* whole : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (std::find(names.begin(), names.end(), whole) != names.end()) return {whole};
  }
  std::map<int, std::string> parts;
  int of = 0;
  for (const std::string& name : names) {
    const auto part = part_of(name);
    if (!part || part->first < 1 || part->first > part->second) continue;
    of = std::max(of, part->second);
    parts[part->first] = name;
  }
  std::vector<std::string> out;
  if (of == 0 || parts.size() != static_cast<std::size_t>(of)) return out;
  for (const auto& [number, name] : parts) out.push_back(name);
  return out;
}

}  // namespace ebb
