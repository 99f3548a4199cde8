#include "daemon/pull/delta.hpp"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "daemon/pull/checksum.hpp"

namespace ebb::pull {
namespace {

static_assert(std::endian::native == std::endian::little, "positions are little endian, and so are we");

constexpr int kWindowLogMax = 27;  // 128 MiB: zstd's own limit for streams; level 1 uses 512 KiB
constexpr std::size_t kReadBytes = 128u << 10;
constexpr std::size_t kXorBytes = 256u << 10;
constexpr std::size_t kGrowBytes = 4u << 20;

Error malformed(const std::string& what) { return Error{ErrorCode::malformed, what, false}; }

/// A payload's frames, decompressed piece by piece.
class Inflater {
 public:
  explicit Inflater(Payload payload) : payload_(std::move(payload)), stream_(ZSTD_createDCtx()), input_(kReadBytes) {
    if (stream_ == nullptr) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kWindowLogMax);
  }
  ~Inflater() { ZSTD_freeDCtx(stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Fills `out`; fewer bytes only at the end of the last frame.
  Result<std::size_t> read(std::span<std::byte> out) {
    std::size_t filled = 0;
    while (filled < out.size()) {
      if (at_ == end_) {
        const Result<std::size_t> more = payload_(input_);
        if (!more.ok()) return more.error();
        at_ = 0;
        end_ = *more;
        if (end_ == 0 && !inside_) return filled;
      }
      ZSTD_inBuffer in{input_.data() + at_, end_ - at_, 0};
      ZSTD_outBuffer to{out.data() + filled, out.size() - filled, 0};
      const std::size_t state = ZSTD_decompressStream(stream_, &to, &in);
      if (ZSTD_isError(state) != 0)
        return malformed(std::string("its zstd frame is damaged: ") + ZSTD_getErrorName(state));
      if (end_ == 0 && to.pos == 0) return malformed("its zstd frame ends early");
      inside_ = state != 0;
      at_ += in.pos;
      filled += to.pos;
    }
    return filled;
  }

  /// Whether nothing is left, neither of a frame nor behind it. Reads the checksum that may end a frame.
  Status ended() {
    std::array<std::byte, 1> one{};
    const Result<std::size_t> more = read(one);
    if (!more.ok()) return more.error();
    if (*more != 0) return malformed("its payload is longer than it should be");
    return Done{};
  }

 private:
  Payload payload_;
  ZSTD_DCtx* stream_;
  std::vector<std::byte> input_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  bool inside_ = false;  ///< of a frame
};

/// Eight bytes at a time: the compiler's own loop over bytes would be five times slower at -O2.
void xor_into(std::byte* to, const std::byte* from, std::size_t count) {
  std::size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    std::array<std::uint64_t, 4> a{};
    std::array<std::uint64_t, 4> b{};
    std::memcpy(a.data(), to + i, 32);
    std::memcpy(b.data(), from + i, 32);
    for (std::size_t word = 0; word < 4; ++word) a[word] ^= b[word];
    std::memcpy(to + i, a.data(), 32);
  }
  for (; i < count; ++i) to[i] ^= from[i];
}

}  // namespace

struct TensorDelta::State {
  State(DeltaFormat format_, Payload payload, std::uint64_t bytes_, std::string sum_)
      : format(format_), inflater(std::move(payload)), bytes(bytes_), sum(std::move(sum_)), summer(format.checksum) {}

  Result<bool> fill(std::span<std::byte> out) {
    const Result<std::size_t> got = inflater.read(out);
    if (!got.ok()) return got.error();
    return *got == out.size();
  }

  /// `count` more bytes, in steps: a count alone must not make us ask for gigabytes.
  Status take(std::uint64_t count, std::vector<std::byte>& into) {
    while (into.size() < count) {
      const std::size_t before = into.size();
      into.resize(static_cast<std::size_t>(std::min<std::uint64_t>(count, before + std::max(kGrowBytes, before))));
      const Result<bool> whole = fill(std::span(into).subspan(before));
      if (!whole.ok()) return whole.error();
      if (!*whole) return malformed("its payload ends early");
    }
    return Done{};
  }

  [[nodiscard]] std::uint32_t position(std::size_t i) const {
    std::uint32_t value = 0;
    std::memcpy(&value, positions.data() + 4 * i, 4);
    return value;
  }

  DeltaFormat format;
  Inflater inflater;
  std::uint64_t bytes;
  std::string sum;
  Summer summer;
  std::uint64_t at = 0;  ///< in the tensor
  bool begun = false;
  std::vector<std::byte> scratch;            ///< xor
  std::vector<std::byte> positions, values;  ///< overwrite; the positions ascend
  std::size_t next = 0;                      ///< of the positions
};

TensorDelta::TensorDelta(DeltaFormat format, Payload payload, std::uint64_t bytes, std::string sum)
    : state_(std::make_unique<State>(format, std::move(payload), bytes, std::move(sum))) {}
TensorDelta::~TensorDelta() = default;

/// Positions need not be sorted; a position given twice takes the later byte.
Status TensorDelta::begin() {
  State& s = *state_;
  s.begun = true;
  if (s.format.encoding == Encoding::xor_) {
    s.scratch.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kXorBytes, s.bytes)));
    return Done{};
  }
  std::array<std::byte, 4> raw{};
  const Result<bool> whole = s.fill(raw);
  if (!whole.ok()) return whole.error();
  if (!*whole) return malformed("its payload ends early");
  std::uint32_t count = 0;
  std::memcpy(&count, raw.data(), 4);
  if (count > s.bytes)
    return malformed("it overwrites " + std::to_string(count) + " of " + std::to_string(s.bytes) + " bytes");
  if (const Status taken = s.take(std::uint64_t{count} * 4, s.positions); !taken.ok()) return taken;
  if (const Status taken = s.take(count, s.values); !taken.ok()) return taken;
  bool sorted = true;
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t position = s.position(i);
    if (position >= s.bytes)
      return malformed("it overwrites byte " + std::to_string(position) + " of " + std::to_string(s.bytes));
    sorted = sorted && position >= before;
    before = position;
  }
  if (sorted) return Done{};
  std::vector<std::pair<std::uint32_t, std::byte>> pairs;
  pairs.reserve(count);
  for (std::size_t i = 0; i < count; ++i) pairs.emplace_back(s.position(i), s.values[i]);
  std::stable_sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(s.positions.data() + 4 * i, &pairs[i].first, 4);
    s.values[i] = pairs[i].second;
  }
  return Done{};
}

Status TensorDelta::overwrite(std::span<std::byte> chunk) {
  State& s = *state_;
  const std::uint64_t end = s.at + chunk.size();
  for (; s.next < s.values.size(); ++s.next) {
    const std::uint32_t position = s.position(s.next);
    if (position >= end) break;
    chunk[static_cast<std::size_t>(position - s.at)] = s.values[s.next];
  }
  return Done{};
}

Status TensorDelta::apply(std::span<std::byte> chunk) {
  State& s = *state_;
  if (!s.begun) {
    if (const Status begun = begin(); !begun.ok()) return begun;
  }
  if (s.format.encoding == Encoding::overwrite) {
    if (const Status done = overwrite(chunk); !done.ok()) return done;
  } else {
    for (std::size_t from = 0; from < chunk.size(); from += s.scratch.size()) {
      const std::span<std::byte> piece(s.scratch.data(), std::min(s.scratch.size(), chunk.size() - from));
      const Result<bool> whole = s.fill(piece);
      if (!whole.ok()) return whole.error();
      if (!*whole) return malformed("its payload ends early");
      xor_into(chunk.data() + from, piece.data(), piece.size());
    }
  }
  s.summer.add(chunk);
  s.at += chunk.size();
  return Done{};
}

Status TensorDelta::finish() {
  State& s = *state_;
  if (!s.begun) {
    if (const Status begun = begin(); !begun.ok()) return begun;
  }
  if (const Status ended = s.inflater.ended(); !ended.ok()) return ended;
  const std::string sum = s.summer.hex();
  if (sum == s.sum) return Done{};
  return malformed("its checksum is " + sum + " instead of " + s.sum.substr(0, 64) +
                   ": the increment does not belong on these weights, or one of the two is damaged");
}

}  // namespace ebb::pull
