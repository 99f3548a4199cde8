#include "tests/emulators/trainer/delta.hpp"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace ebb::emulator {

namespace {

void append_u32(std::string& out, std::uint64_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 0xFF);
}

}  // namespace

const char* to_string(DeltaEncoding encoding) { return encoding == DeltaEncoding::exclusive_or ? "xor" : "overwrite"; }

const char* to_string(ChecksumFormat format) { return format == ChecksumFormat::xxh3_128 ? "xxh3-128" : "adler32"; }

std::string delta_of(DeltaEncoding encoding, std::string_view before, std::string_view after) {
  std::string out;
  if (encoding == DeltaEncoding::exclusive_or) {
    out.resize(after.size());
    for (std::size_t i = 0; i < after.size(); ++i) out[i] = static_cast<char>(after[i] ^ before[i]);
    return out;
  }
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (after[i] != before[i]) changed.push_back(i);
  }
  append_u32(out, changed.size());
  for (const std::size_t at : changed) append_u32(out, at);
  for (const std::size_t at : changed) out += after[at];
  return out;
}

std::string compressed(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1);
  if (ZSTD_isError(size) != 0) throw std::runtime_error(ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

std::string checksum_of(ChecksumFormat format, std::string_view bytes) {
  if (format == ChecksumFormat::xxh3_128) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  return fmt::format("{:08x}", adler32_z(adler32_z(0, nullptr, 0), data, bytes.size()));
}

}  // namespace ebb::emulator
