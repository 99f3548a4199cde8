// model.safetensors.index.json: which tensor is in which file, and, for an increment, how it is encoded.
// Source: the slime and Miles on-disk delta format (reference, section 4.3).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "daemon/model/result.hpp"
#include "daemon/pull/checksum.hpp"

namespace ebb::pull {

inline constexpr const char* kIndexName = "model.safetensors.index.json";
inline constexpr std::size_t kIndexMax = 64u << 20;  ///< half a million tensors with long names

enum class Encoding {
  xor_,       ///< new ^ old
  overwrite,  ///< u32 count, count u32 positions, then the new bytes
};

/// How an increment is written.
struct DeltaFormat {
  Encoding encoding = Encoding::xor_;
  Checksum checksum = Checksum::xxh3_128;
};

struct Index {
  std::map<std::string, std::string> files;  ///< of each tensor; a plain name
  std::optional<std::string> version;        ///< as the trainer numbers them, e.g. "000007"
  std::optional<std::string> base_version;
  std::optional<DeltaFormat> delta;  ///< absent: a full snapshot
  [[nodiscard]] std::set<std::string> file_names() const;
};

/// `malformed`: it is no index. `invalid`: an encoding, compression or checksum that this program does not know; the
/// error names those it knows.
Result<Index> index_from(std::string_view text);

/// The same index, of a full snapshot, under another version.
Result<std::string> index_with_version(std::string_view text, const std::string& version);

}  // namespace ebb::pull
