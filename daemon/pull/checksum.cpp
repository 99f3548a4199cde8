#include "daemon/pull/checksum.hpp"

#include <xxhash.h>
#include <zlib.h>

#include <new>

namespace ebb::pull {
namespace {

void append_hex(std::string& out, std::uint32_t byte) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += kDigits[(byte >> 4) & 15];
  out += kDigits[byte & 15];
}

}  // namespace

struct Summer::State {
  explicit State(Checksum kind_) : kind(kind_) {
    if (kind == Checksum::adler32) return;
    xxh = XXH3_createState();
    if (xxh == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh);
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Checksum kind;
  XXH3_state_t* xxh = nullptr;
  uLong adler = 1;  ///< as adler32 begins
};

std::optional<Checksum> checksum_from(std::string_view name) {
  if (name == "xxh3-128") return Checksum::xxh3_128;
  if (name == "adler32") return Checksum::adler32;
  return std::nullopt;
}

Summer::Summer(Checksum kind) : state_(std::make_unique<State>(kind)) {}
Summer::~Summer() = default;

void Summer::add(std::span<const std::byte> bytes) {
  if (state_->xxh != nullptr) {
    XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
  } else {
    state_->adler = ::adler32_z(state_->adler, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
}

std::string Summer::hex() const {
  std::string out;
  if (state_->xxh == nullptr) {
    for (int shift = 24; shift >= 0; shift -= 8) append_hex(out, static_cast<std::uint32_t>(state_->adler >> shift));
    return out;
  }
  XXH128_canonical_t canonical{};
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh));
  for (const unsigned char byte : canonical.digest) append_hex(out, byte);
  return out;
}

}  // namespace ebb::pull
