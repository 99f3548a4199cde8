// Checksums of whole tensors, as an increment carries them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ebb::pull {

enum class Checksum { xxh3_128, adler32 };

/// Nothing for what this program cannot compute ("blake3": Debian 12 has no library of it).
std::optional<Checksum> checksum_from(std::string_view name);

/// Adds up bytes from front to back.
class Summer {
 public:
  explicit Summer(Checksum kind);
  ~Summer();
  Summer(const Summer&) = delete;
  Summer& operator=(const Summer&) = delete;
  void add(std::span<const std::byte> bytes);
  /// Lower case: 32 digits, of adler32 8.
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ebb::pull
