// Small files, written so that a reader never sees half of one, and locks that end with their holder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/model/result.hpp"

namespace ebb::shim {

/// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

/// The sentence for errno: "<what>: No space left on device".
Error system_error(const std::string& what, int error);

/// At most `max` bytes from the start; nothing when it cannot be read.
std::optional<std::string> read_file(const std::string& path, std::size_t max = 1u << 20);
/// The last line with something in it, out of the last 4 KiB, as valid UTF-8 without control characters, at most 200
/// bytes.
std::string last_line(const std::string& path);
/// Writes all of it, or says why not.
Status write_all(int fd, std::string_view text);

enum class Sync { no, yes };
/// Replaces `dir`/`name` in one step (temporary file and rename). With Sync::yes it survives a power failure.
Status replace_file(const std::string& dir, const std::string& name, std::string_view text, Sync sync);
/// Reads "<number> <number>" as `drain` and `lease` hold it; the second is optional.
struct Order {
  long long at_ms = 0;                  ///< deadline or expiry
  std::optional<long long> written_ms;  ///< by the same clock
  friend bool operator==(const Order&, const Order&) = default;
};
std::optional<Order> order_from(std::string_view text);
std::string to_text(const Order& order);

enum class LockState { held, free, absent };
/// Whether somebody holds the exclusive lock. Takes a shared one for an instant, so that probes do not see each other.
LockState probe_lock(const std::string& path);
/// The exclusive lock; `conflict` when it is taken. Creates the file. Waits a little, for a probe to pass.
Result<Fd> take_lock(const std::string& path);

/// Bytes that are no UTF-8, and control characters, become '?'.
std::string printable(std::string_view text);
/// A JSON string with its quotes.
std::string json_string(std::string_view text);

}  // namespace ebb::shim
