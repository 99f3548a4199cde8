#include "tests/emulators/trainer/writer.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

namespace ebb::emulator {

namespace {

using nlohmann::json;

Error failed(const std::string& path) {
  return Error{ErrorCode::exhausted, fmt::format("{}: {}", path, std::strerror(errno)), false};
}

Status write_all(int file, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return failed(path);
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(file) == 0 ? Status(Done{}) : Status(failed(path));
}

/// Under another name first: who lists the directory never sees half a file.
Status write_file(const std::string& path, std::string_view bytes) {
  const std::string draft = path + ".tmp";
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return failed(draft);
  const Status written = write_all(file, draft, bytes);
  ::close(file);
  if (!written) return written;
  if (::rename(draft.c_str(), path.c_str()) != 0) return failed(path);
  return Done{};
}

Status sync_directory(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return failed(path);
  const bool synced = ::fsync(file) == 0;
  ::close(file);
  return synced ? Status(Done{}) : Status(failed(path));
}

std::string version_text(std::int64_t version) { return fmt::format("{:06}", version); }

json spec_of(const Weights& weights) {
  json tensors = json::object();
  for (const Tensor& tensor : weights) tensors[tensor.name] = json{{"shape", tensor.shape}, {"dtype", tensor.dtype}};
  return json{{"tensor_map", std::move(tensors)}};
}

/// One file for each group of tensors, its metadata beside it.
struct Part {
  Weights tensors;
  std::map<std::string, std::string> metadata;
};

/// What every snapshot consists of besides its tensors: `index` is written last, and only then is it whole.
Result<std::int64_t> write_snapshot(const std::string& directory, const std::vector<Part>& parts, json metadata,
                                    const std::string& config, const json& spec) {
  std::error_code bad;
  std::filesystem::remove_all(directory, bad);
  std::filesystem::create_directories(directory, bad);
  if (bad) return Error{ErrorCode::exhausted, directory + ": " + bad.message(), false};
  std::int64_t bytes = 0;
  json map = json::object();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, parts.size());
    const std::string file = safetensors(parts[i].tensors, parts[i].metadata);
    for (const Tensor& tensor : parts[i].tensors) map[tensor.name] = name;
    bytes += static_cast<std::int64_t>(file.size());
    if (const Status written = write_file(directory + "/" + name, file); !written) return written.error();
  }
  const std::vector<std::pair<std::string, std::string>> last{
      {"config.json", config},
      {"model.weight.spec.json", spec.dump(2) + "\n"},
      {"model.safetensors.index.json", json{{"metadata", std::move(metadata)}, {"weight_map", map}}.dump(2) + "\n"}};
  for (const auto& [name, text] : last) {
    if (const Status written = write_file(directory + "/" + name, text); !written) return written.error();
  }
  if (const Status synced = sync_directory(directory); !synced) return synced.error();
  return bytes;
}

/// A digit of it becomes another one.
std::string damaged_checksum(std::string checksum) {
  checksum.back() = checksum.back() == '0' ? '1' : '0';
  return checksum;
}

}  // namespace

std::string safetensors(const Weights& tensors, const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t at = 0;
  for (const Tensor& tensor : tensors) {
    header[tensor.name] =
        json{{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.bytes.size()}}};
    at += tensor.bytes.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors begin at a multiple of 8, as the reference writer has them
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>((std::uint64_t{text.size()} >> shift) & 0xFF);
  out += text;
  for (const Tensor& tensor : tensors) out += tensor.bytes;
  return out;
}

Result<std::int64_t> SnapshotWriter::full(const std::string& directory, const Weights& weights,
                                          std::int64_t version) const {
  std::map<int, Part> layers;
  std::size_t total = 0;
  for (const Tensor& tensor : weights) {
    layers[tensor.layer].tensors.push_back(tensor);
    total += tensor.bytes.size();
  }
  std::vector<Part> parts;
  for (auto& [layer, part] : layers) {
    part.metadata["format"] = "pt";
    parts.push_back(std::move(part));
  }
  json metadata{{"total_size", total}, {"version", version_text(version)}};
  return write_snapshot(directory, parts, std::move(metadata), config_json(shape_), spec_of(weights));
}

Result<std::int64_t> SnapshotWriter::incremental(const std::string& directory, const Weights& weights,
                                                 std::int64_t version, const Weights& base, std::int64_t base_version,
                                                 bool damaged) const {
  std::map<int, Part> layers;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].bytes == base[i].bytes) continue;
    Tensor change;
    change.name = weights[i].name;
    change.dtype = "U8";
    change.layer = weights[i].layer;
    change.bytes = compressed(delta_of(encoding_, base[i].bytes, weights[i].bytes));
    change.shape = {static_cast<std::int64_t>(change.bytes.size())};
    std::string checksum = checksum_of(checksum_, weights[i].bytes);
    if (std::exchange(damaged, false)) checksum = damaged_checksum(std::move(checksum));
    Part& part = layers[change.layer];
    part.metadata[change.name] = std::move(checksum);
    part.tensors.push_back(std::move(change));
  }
  std::vector<Part> parts;
  for (auto& [layer, part] : layers) parts.push_back(std::move(part));
  json metadata{{"version", version_text(version)},
                {"base_version", version_text(base_version)},
                {"delta_encoding", to_string(encoding_)},
                {"compression_format", "zstd"},
                {"checksum_format", to_string(checksum_)}};
  return write_snapshot(directory, parts, std::move(metadata), config_json(shape_), spec_of(weights));
}

}  // namespace ebb::emulator
