// A SnapshotStore in memory with knobs, and the files of a model to put into it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/ports/snapshot_store.hpp"

namespace ebb::test {

class MemoryStore final : public SnapshotStore {
 public:
  std::map<Identity, std::map<std::string, std::string>> snapshots;
  std::map<std::string, Error> unreadable;  ///< by file
  bool whole = true;
  int reads = 0;

  [[nodiscard]] bool whole_files() const override { return whole; }
  awaitable<Result<std::vector<Identity>>> identities(TimePoint) override {
    std::vector<Identity> out;
    for (const auto& [identity, files] : snapshots) out.push_back(identity);
    co_return out;
  }
  awaitable<Result<std::vector<StoredFile>>> list(Identity identity, TimePoint) override {
    std::vector<StoredFile> out;
    for (const auto& [name, text] : snapshots[identity]) out.push_back({name, static_cast<std::int64_t>(text.size())});
    if (out.empty()) co_return Error{ErrorCode::not_found, "nothing at " + identity.value, false};
    co_return out;
  }
  awaitable<Result<std::string>> read(Identity identity, std::string file, std::int64_t offset, std::int64_t bytes,
                                      TimePoint) override {
    ++reads;
    if (const auto error = unreadable.find(file); error != unreadable.end()) co_return error->second;
    const auto& files = snapshots[identity];
    const auto at = files.find(file);
    if (at == files.end()) co_return Error{ErrorCode::not_found, file + " is not there", false};
    if (static_cast<std::size_t>(offset) >= at->second.size()) co_return std::string();
    co_return at->second.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(bytes));
  }
  awaitable<Status> remove(Identity identity, TimePoint) override {
    snapshots.erase(identity);
    co_return Done();
  }
};

inline std::string little_endian(std::uint64_t value) {
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(static_cast<unsigned char>(value >> shift));
  return out;
}

/// A safetensors file: each tensor is `bytes` U8 values.
inline std::string tensor_file(const std::vector<std::string>& tensors, std::size_t bytes = 4,
                               const std::string& metadata = "") {
  std::string header = "{";
  std::size_t at = 0;
  if (!metadata.empty()) header += "\"__metadata__\":" + metadata + (tensors.empty() ? "" : ",");
  for (const std::string& name : tensors) {
    header += (at == 0 ? "\"" : ",\"") + name + "\":{\"dtype\":\"U8\",\"shape\":[" + std::to_string(bytes) +
              "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + bytes) + "]}";
    at += bytes;
  }
  header += "}";
  return little_endian(header.size()) + header + std::string(at, 'w');
}

inline std::string index_file(const std::map<std::string, std::string>& weight_map,
                              const std::string& metadata = "{}") {
  std::string out = "{\"metadata\":" + metadata + ",\"weight_map\":{";
  for (const auto& [tensor, file] : weight_map) {
    if (out.back() != '{') out += ',';
    out += "\"" + tensor + "\":\"" + file + "\"";
  }
  return out + "}}";
}

/// A model of so many layers, a file and two tensors each.
inline std::map<std::string, std::string> model_files(int layers, const std::string& version = "000001") {
  std::map<std::string, std::string> out, map;
  for (int i = 0; i < layers; ++i) {
    const std::string file = "model-" + std::to_string(i) + ".safetensors";
    const std::string layer = "layers." + std::to_string(i);
    out[file] = tensor_file({layer + ".up", layer + ".down"});
    map[layer + ".up"] = map[layer + ".down"] = file;
  }
  out["config.json"] = "{}";
  out["model.safetensors.index.json"] = index_file(map, "{\"version\":\"" + version + "\"}");
  return out;
}

/// What leads from `base` to `version`, in slime's format: the first layer's first tensor has changed.
inline std::map<std::string, std::string> delta_files(const std::string& version, const std::string& base) {
  std::map<std::string, std::string> out;
  out["model-1.safetensors"] = tensor_file({"layers.0.up"}, 6, R"({"layers.0.up":"0a0b0c0d"})");
  out["model.safetensors.index.json"] =
      index_file({{"layers.0.up", "model-1.safetensors"}},
                 R"({"delta_encoding":"xor","compression_format":"zstd","checksum_format":"adler32","version":")" +
                     version + R"(","base_version":")" + base + "\"}");
  return out;
}

}  // namespace ebb::test
