// Which series a page has already shown. Internal to adapters/exposition.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace ebb::exposition {

__extension__ using Wide = unsigned __int128;

inline std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<Wide>(a ^ 0x9E3779B97F4A7C15ull) * (b ^ 0xD6E8FEB86659FD93ull);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// A 64-bit hash; stable within a process, not a defence against somebody who looks for collisions.
inline std::uint64_t hashed(std::string_view text) {
  std::uint64_t hash = text.size();
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    hash = mixed(hash, word);
  }
  if (left > 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, left);
    hash = mixed(hash, word);
  }
  return mixed(hash, 0x2545F4914F6CDD1Dull);
}

/// A set of hashes with open addressing. Two of 100,000 series collide with a probability below 1e-9.
class SeriesSet {
 public:
  /// False when it was there already.
  bool insert(std::uint64_t hash) {
    if (hash == 0) hash = 1;  // zero marks an empty place
    if ((count_ + 1) * 2 > places_.size()) grow();
    std::uint64_t& place = places_[place_of(hash)];
    if (place == hash) return false;
    place = hash;
    ++count_;
    return true;
  }

 private:
  [[nodiscard]] std::size_t place_of(std::uint64_t hash) const {
    const std::size_t mask = places_.size() - 1;
    std::size_t at = hash & mask;
    while (places_[at] != 0 && places_[at] != hash) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    std::vector<std::uint64_t> old(places_.empty() ? 256 : places_.size() * 2);
    old.swap(places_);
    for (const std::uint64_t hash : old) {
      if (hash != 0) places_[place_of(hash)] = hash;
    }
  }

  std::vector<std::uint64_t> places_;
  std::size_t count_ = 0;
};

}  // namespace ebb::exposition
