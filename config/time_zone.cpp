#include "config/time_zone.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "config/posix_zone.hpp"
#include "config/text.hpp"

namespace ebb {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;
constexpr std::size_t kHeaderBytes = 44;

Error broken(const std::string& name) {
  return {ErrorCode::malformed, "names the zone " + in_quotes(name) + ", whose file cannot be read: reinstall tzdata"};
}

bool is_zone_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '+' || c == '/';
  };
  return !name.empty() && name.size() <= 64 && name.front() != '/' && std::all_of(name.begin(), name.end(), fits);
}

/// Big-endian numbers out of a buffer, whose bounds were checked by `has`.
class Bytes {
 public:
  explicit Bytes(std::string_view left) : left_(left) {}
  [[nodiscard]] bool has(std::size_t count) const { return left_.size() >= count; }
  [[nodiscard]] std::string_view left() const { return left_; }
  void skip(std::size_t count) { left_.remove_prefix(count); }
  std::uint8_t byte() {
    const auto out = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return out;
  }
  template <class Int>
  Int number() {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < sizeof(Int); ++i) out = (out << 8) | byte();
    return static_cast<Int>(static_cast<std::make_unsigned_t<Int>>(out));
  }

 private:
  std::string_view left_;
};

struct Header {
  int version = 0;
  std::uint32_t is_ut = 0, is_std = 0, leaps = 0, times = 0, types = 0, chars = 0;
  /// Bytes of the data behind it, with times of `width` bytes.
  [[nodiscard]] std::size_t data(std::size_t width) const {
    return std::size_t{times} * (width + 1) + std::size_t{types} * 6 + chars + std::size_t{leaps} * (width + 4) +
           is_std + is_ut;
  }
};

std::optional<Header> header_of(Bytes& in) {
  if (!in.has(kHeaderBytes) || in.left().substr(0, 4) != "TZif") return std::nullopt;
  in.skip(4);
  Header out;
  const std::uint8_t version = in.byte();
  out.version = version == 0 ? 1 : version - '0';
  in.skip(15);
  for (std::uint32_t* count : {&out.is_ut, &out.is_std, &out.leaps, &out.times, &out.types, &out.chars}) {
    *count = in.number<std::uint32_t>();
    if (*count > kMostBytes) return std::nullopt;
  }
  return out;
}

/// The 64-bit data, or the 32-bit data of an old file. Leap seconds are none of our business: system clocks skip them.
std::optional<TimeZone> table_of(Bytes& in, const Header& header, std::size_t width) {
  if (!in.has(header.data(width)) || header.types == 0) return std::nullopt;
  std::vector<std::int64_t> times;
  times.reserve(header.times);
  for (std::uint32_t i = 0; i < header.times; ++i) {
    times.push_back(width == 8 ? in.number<std::int64_t>() : in.number<std::int32_t>());
  }
  std::vector<std::uint8_t> type_of;
  type_of.reserve(header.times);
  for (std::uint32_t i = 0; i < header.times; ++i) type_of.push_back(in.byte());
  std::vector<Duration> offsets;
  offsets.reserve(header.types);
  for (std::uint32_t i = 0; i < header.types; ++i) {
    offsets.emplace_back(std::chrono::seconds{in.number<std::int32_t>()});
    in.skip(2);
  }
  in.skip(header.chars + std::size_t{header.leaps} * (width + 4) + header.is_std + header.is_ut);
  TimeZone out;
  out.before = offsets[0];
  for (std::size_t i = 0; i < times.size(); ++i) {
    // Before 1900 there were sundials; such times would not fit into milliseconds.
    constexpr std::int64_t kFirst = -2'208'988'800, kLast = 32'503'680'000;
    if (type_of[i] >= offsets.size() || times[i] > kLast) return std::nullopt;
    if (i > 0 && times[i] <= times[i - 1]) return std::nullopt;
    if (times[i] < kFirst) {
      out.before = offsets[type_of[i]];
    } else {
      out.changes.push_back({TimePoint{std::chrono::seconds{times[i]}}, offsets[type_of[i]]});
    }
  }
  return out;
}

std::vector<std::string> zones_in(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code failure;
  const std::filesystem::path root(directory);
  auto at = std::filesystem::recursive_directory_iterator(root, failure);
  for (const auto end = std::filesystem::end(at); !failure && at != end; at.increment(failure)) {
    const std::string name = at->path().lexically_relative(root).string();
    const bool copy = name == "posix" || name == "right";  // the same zones again
    if (at->is_directory(failure)) {
      if (copy) at.disable_recursion_pending();
      continue;
    }
    if (is_zone_name(name)) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<TimeZone> parse_zone_file(std::string_view bytes, const std::string& name) {
  Bytes in(bytes);
  std::optional<Header> header = header_of(in);
  if (!header) return broken(name);
  std::size_t width = 4;
  if (header->version >= 2) {
    if (!in.has(header->data(4))) return broken(name);
    in.skip(header->data(4));
    header = header_of(in);
    if (!header) return broken(name);
    width = 8;
  }
  std::optional<TimeZone> zone = table_of(in, *header, width);
  if (!zone) return broken(name);
  zone->name = name;
  if (width == 4) return *zone;
  // Behind the data stands the rule for all the time after it, between two line breaks.
  const std::string_view rest = in.left();
  const std::size_t end = rest.find('\n', 1);
  if (rest.empty() || rest.front() != '\n' || end == std::string_view::npos) return broken(name);
  const TimePoint last = zone->changes.empty() ? TimePoint{} : zone->changes.back().from;
  const auto changes = changes_by_rule(rest.substr(1, end - 1), last, kLastZoneYear);
  if (!changes) return broken(name);
  for (const OffsetChange& change : *changes) {
    if (change.from > last || zone->changes.empty()) zone->changes.push_back(change);
  }
  return *zone;
}

std::string zone_hint(const std::string& name, const std::string& directory) {
  const std::string meant = is_zone_name(name) ? did_you_mean(name, zones_in(directory)) : "";
  return meant.empty() ? "; write an IANA name such as Europe/Berlin" : meant;
}

Result<TimeZone> load_time_zone(const std::string& name, const std::string& directory) {
  if (name == "UTC") return TimeZone{};
  const std::string path = directory + "/" + name;
  std::error_code failure;
  if (is_zone_name(name) && !std::filesystem::is_directory(directory, failure)) {
    return Error{ErrorCode::not_found, "needs the zone files in " + directory + ": install tzdata"};
  }
  if (!is_zone_name(name) || !std::filesystem::is_regular_file(path, failure)) {
    return Error{ErrorCode::invalid, "names no time zone, got " + in_quotes(name)};
  }
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kMostBytes, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (file.bad()) return broken(name);
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return parse_zone_file(bytes, name);
}

}  // namespace ebb
