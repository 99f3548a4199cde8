// Not knowing is not zero: a service whose metrics are gone must not look idle.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "daemon/model/time.hpp"

namespace ebb {

template <class T>
struct Sample {
  T value;
  TimePoint taken_at;
  friend bool operator==(const Sample&, const Sample&) = default;
};

struct Missing {
  std::string why;
  TimePoint since{};
  friend bool operator==(const Missing&, const Missing&) = default;
};

/// A sample, or the reason why there is none. A default-constructed reading is missing ("never read").
template <class T>
class Reading {
 public:
  Reading() : held_(Missing{"never read", {}}) {}
  Reading(Sample<T> sample) : held_(std::move(sample)) {}  // NOLINT(google-explicit-constructor)
  Reading(Missing missing) : held_(std::move(missing)) {}  // NOLINT(google-explicit-constructor)

  /// The sample, or null.
  [[nodiscard]] const Sample<T>* sample() const { return std::get_if<Sample<T>>(&held_); }
  [[nodiscard]] Sample<T>* sample() { return std::get_if<Sample<T>>(&held_); }
  /// The reason, or null.
  [[nodiscard]] const Missing* missing() const { return std::get_if<Missing>(&held_); }
  [[nodiscard]] bool known() const { return sample() != nullptr; }
  /// Only after `known()`.
  [[nodiscard]] const T& value() const { return std::get<Sample<T>>(held_).value; }

  friend bool operator==(const Reading&, const Reading&) = default;

 private:
  std::variant<Sample<T>, Missing> held_;
};

}  // namespace ebb
