// Writes snapshots and increments as a trainer would. Shares no code with what reads them: format, checksums and diffs
// are made here from the description of the format alone.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ebb::test {

struct RawTensor {
  std::string name;
  std::string dtype = "BF16";
  std::vector<std::uint64_t> shape;
  std::string bytes;
};
using Shards = std::map<std::string, std::vector<RawTensor>>;  ///< by file

std::string safetensors_text(const std::vector<RawTensor>& tensors, const std::map<std::string, std::string>& metadata);

std::string xor_diff(std::string_view before, std::string_view after);
std::string overwrite_diff(std::string_view before, std::string_view after);
/// One frame. `sized`: it says how long its content is.
std::string zstd_frame(std::string_view bytes, bool sized = true);
std::string xxh3_hex(std::string_view bytes);
std::string adler_hex(std::string_view bytes);

struct DeltaStyle {
  std::string encoding = "xor";
  std::string checksum = "xxh3-128";
  std::string version, base_version;  ///< empty: not said
  bool sized = true;
};

/// Makes the directory. `version`: empty: the index does not say one.
void write_full(const std::string& directory, const Shards& shards, const std::string& version);
/// Tensors that are the same in both are left out, as the format has it; one file per shard with changes, numbered
/// anew.
void write_increment(const std::string& directory, const Shards& before, const Shards& after, const DeltaStyle& style);
/// The same with payloads and metadata of one's own: what a broken trainer writes.
void write_increment_files(const std::string& directory, const std::map<std::string, std::string>& files,
                           const std::map<std::string, std::string>& weight_map, const DeltaStyle& style);

/// `count` shards of several dtypes, some with odd sizes, about `bytes` each.
Shards random_shards(std::mt19937_64& random, int count, std::size_t bytes);
/// With about this share of the 16-bit values changed, in a share of the tensors.
Shards mutated(const Shards& before, std::mt19937_64& random, double values, double tensors);

void write_file(const std::string& path, std::string_view bytes);
std::string read_all(const std::string& path);

}  // namespace ebb::test
