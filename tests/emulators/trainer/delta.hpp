// The encoder of increments in the on-disk format of slime and Miles: what changed in one tensor, as one zstd frame.
// It shares no code with what applies them.
#pragma once

#include <string>
#include <string_view>

namespace ebb::emulator {

enum class DeltaEncoding {
  exclusive_or,  ///< "xor": new ^ old, byte by byte
  overwrite,     ///< u32 count, count x u32 byte positions (little-endian), then the new bytes
};
enum class ChecksumFormat { xxh3_128, adler32 };

/// "xor", "overwrite", "xxh3-128", "adler32".
const char* to_string(DeltaEncoding encoding);
const char* to_string(ChecksumFormat format);

/// Both of the same length, below 4 GiB. Not compressed yet.
std::string delta_of(DeltaEncoding encoding, std::string_view before, std::string_view after);

/// One zstd frame of level 1, as the format wants it.
std::string compressed(std::string_view bytes);

/// In hex, over the complete new tensor; xxh3-128 in its canonical (big-endian) order, adler32 with 8 digits.
std::string checksum_of(ChecksumFormat format, std::string_view bytes);

}  // namespace ebb::emulator
