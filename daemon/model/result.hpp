// Errors of the world are values: Result<T> must be looked at, and branches go on `code`, never on text.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace ebb {

enum class ErrorCode {
  invalid,      ///< the request or file is wrong; asking again cannot help
  not_found,    ///< the target does not exist (any more)
  conflict,     ///< somebody else changed it, or it exists already; read again, decide again
  denied,       ///< credentials or rights
  throttled,    ///< asked too often
  unreachable,  ///< no connection
  timeout,      ///< no answer in time; a write may or may not have happened
  malformed,    ///< an answer that cannot be understood
  exhausted,    ///< no slot, no disk, no descriptor
  cancelled,    ///< we stopped asking (shutdown)
  internal,     ///< the other side failed
};

/// The code's name as written in JSON and metrics, e.g. "not_found".
constexpr const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid: return "invalid";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::denied: return "denied";
    case ErrorCode::throttled: return "throttled";
    case ErrorCode::unreachable: return "unreachable";
    case ErrorCode::timeout: return "timeout";
    case ErrorCode::malformed: return "malformed";
    case ErrorCode::exhausted: return "exhausted";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::internal: return "internal";
  }
  return "unknown";
}

/// `code` drives behaviour, `what` is one sentence for people.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string what;
  bool retryable = false;

  friend bool operator==(const Error&, const Error&) = default;
};

/// A value or the reason why there is none. Reading the wrong side throws std::bad_variant_access, which is a bug.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return held_.index() == 0; }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] const T& value() const& { return std::get<0>(held_); }
  [[nodiscard]] T& value() & { return std::get<0>(held_); }
  [[nodiscard]] T&& value() && { return std::get<0>(std::move(held_)); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] T&& operator*() && { return std::get<0>(std::move(held_)); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  [[nodiscard]] T* operator->() { return &value(); }

  [[nodiscard]] const Error& error() const { return std::get<1>(held_); }

 private:
  std::variant<T, Error> held_;
};

/// Success without a value.
struct Done {
  friend bool operator==(Done, Done) = default;
};
using Status = Result<Done>;

}  // namespace ebb
