#include "tests/pull/encoder.hpp"

#include <xxhash.h>
#include <zstd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace ebb::test {
namespace {

using nlohmann::json;

void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 255);
}

std::string number_name(std::size_t number, std::size_t of) {
  char text[64];
  std::snprintf(text, sizeof text, "model-%05zu-of-%05zu.safetensors", number, of);
  return text;
}

std::string random_bytes(std::mt19937_64& random, std::size_t count) {
  std::string out(count, '\0');
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const std::uint64_t value = random();
    std::memcpy(out.data() + i, &value, 8);
  }
  for (; i < count; ++i) out[i] = static_cast<char>(random() & 255);
  return out;
}

}  // namespace

std::string safetensors_text(const std::vector<RawTensor>& tensors,
                             const std::map<std::string, std::string>& metadata) {
  json head = json::object();
  if (!metadata.empty()) head["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const RawTensor& tensor : tensors) {
    head[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.bytes.size()}}};
    at += tensor.bytes.size();
  }
  std::string text = head.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string out;
  append_u32(out, static_cast<std::uint32_t>(text.size()));
  append_u32(out, 0);
  out += text;
  for (const RawTensor& tensor : tensors) out += tensor.bytes;
  return out;
}

std::string xor_diff(std::string_view before, std::string_view after) {
  std::string out(after.size(), '\0');
  for (std::size_t i = 0; i < after.size(); ++i) out[i] = static_cast<char>(before[i] ^ after[i]);
  return out;
}

std::string overwrite_diff(std::string_view before, std::string_view after) {
  std::string positions;
  std::string values;
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (before[i] == after[i]) continue;
    append_u32(positions, static_cast<std::uint32_t>(i));
    values += after[i];
  }
  std::string out;
  append_u32(out, static_cast<std::uint32_t>(values.size()));
  return out + positions + values;
}

std::string zstd_frame(std::string_view bytes, bool sized) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, sized ? 1 : 0);
  const std::size_t size = ZSTD_compress2(context, out.data(), out.size(), bytes.data(), bytes.size());
  ZSTD_freeCCtx(context);
  if (ZSTD_isError(size) != 0) throw std::runtime_error(ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

std::string xxh3_hex(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

std::string adler_hex(std::string_view bytes) {
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const char c : bytes) {
    a = (a + static_cast<unsigned char>(c)) % 65'521;
    b = (b + a) % 65'521;
  }
  char text[16];
  std::snprintf(text, sizeof text, "%08x", (b << 16) | a);
  return text;
}

void write_file(const std::string& path, std::string_view bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_full(const std::string& directory, const Shards& shards, const std::string& version) {
  json map = json::object();
  for (const auto& [file, tensors] : shards) {
    write_file(directory + "/" + file, safetensors_text(tensors, {{"format", "pt"}}));
    for (const RawTensor& tensor : tensors) map[tensor.name] = file;
  }
  json metadata{{"total_size", 1}};
  if (!version.empty()) metadata["version"] = version;
  write_file(directory + "/config.json", R"({"architectures": ["Test"]})");
  write_file(directory + "/tokenizer/vocab.txt", "a\nb\n");
  write_file(directory + "/model.safetensors.index.json", json{{"metadata", metadata}, {"weight_map", map}}.dump());
}

void write_increment_files(const std::string& directory, const std::map<std::string, std::string>& files,
                           const std::map<std::string, std::string>& weight_map, const DeltaStyle& style) {
  for (const auto& [name, text] : files) write_file(directory + "/" + name, text);
  json metadata{
      {"delta_encoding", style.encoding}, {"compression_format", "zstd"}, {"checksum_format", style.checksum}};
  if (!style.version.empty()) metadata["version"] = style.version;
  if (!style.base_version.empty()) metadata["base_version"] = style.base_version;
  write_file(directory + "/model.safetensors.index.json",
             json{{"metadata", metadata}, {"weight_map", weight_map}}.dump());
}

void write_increment(const std::string& directory, const Shards& before, const Shards& after, const DeltaStyle& style) {
  std::vector<std::vector<RawTensor>> parts;
  std::vector<std::map<std::string, std::string>> sums;
  for (const auto& [file, tensors] : after) {
    std::vector<RawTensor> changed;
    std::map<std::string, std::string> sum;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::string& old = before.at(file).at(i).bytes;
      const std::string& now = tensors[i].bytes;
      if (old == now) continue;
      const std::string diff = style.encoding == "xor" ? xor_diff(old, now) : overwrite_diff(old, now);
      const std::string payload = zstd_frame(diff, style.sized);
      changed.push_back({tensors[i].name, "U8", {payload.size()}, payload});
      sum[tensors[i].name] = style.checksum == "adler32" ? adler_hex(now) : xxh3_hex(now);
    }
    if (changed.empty()) continue;
    parts.push_back(std::move(changed));
    sums.push_back(std::move(sum));
  }
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> map;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string name = number_name(i + 1, parts.size());
    files[name] = safetensors_text(parts[i], sums[i]);
    for (const RawTensor& tensor : parts[i]) map[tensor.name] = name;
  }
  write_increment_files(directory, files, map, style);
}

Shards random_shards(std::mt19937_64& random, int count, std::size_t bytes) {
  Shards shards;
  for (int i = 0; i < count; ++i) {
    std::vector<RawTensor>& tensors = shards["model-" + std::to_string(i) + ".safetensors"];
    const std::string layer = "layers." + std::to_string(i) + ".";
    const auto add = [&](const std::string& name, const std::string& dtype, std::uint64_t elements, std::size_t each) {
      tensors.push_back({layer + name, dtype, {elements}, random_bytes(random, elements * each)});
    };
    const std::uint64_t large = bytes / 2 + random() % 64;
    add("attention", "BF16", large / 2, 2);
    add("experts", "F8_E4M3", bytes / 3 + random() % 7, 1);
    add("scale", "F32", 1 + random() % 9, 4);
    add("norm", "BF16", bytes / 13 + 1, 2);
    add("flag", "BOOL", 3, 1);
    add("nothing", "F32", 0, 4);
  }
  return shards;
}

Shards mutated(const Shards& before, std::mt19937_64& random, double values, double tensors) {
  Shards after = before;
  for (auto& [file, list] : after) {
    for (RawTensor& tensor : list) {
      if (static_cast<double>(random() >> 11) * 0x1p-53 >= tensors) continue;
      const std::size_t count = static_cast<std::size_t>(values * static_cast<double>(tensor.bytes.size() / 2));
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = random() % (tensor.bytes.size() / 2) * 2;
        tensor.bytes[at] = static_cast<char>(tensor.bytes[at] ^ static_cast<char>(1 + random() % 7));
        if (random() % 8 == 0) tensor.bytes[at + 1] = static_cast<char>(tensor.bytes[at + 1] ^ 1);
      }
      if (tensor.bytes.size() % 2 == 1) tensor.bytes.back() = static_cast<char>(tensor.bytes.back() ^ 0x40);
    }
  }
  return after;
}

}  // namespace ebb::test
