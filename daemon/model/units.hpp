// Counts with a type, because "8" was once replicas, once GPUs and once a cap.
#pragma once

#include <compare>

namespace ebb {

struct Replicas {
  int count = 0;
  friend auto operator<=>(Replicas, Replicas) = default;
  friend constexpr Replicas operator+(Replicas a, Replicas b) { return {a.count + b.count}; }
  friend constexpr Replicas operator-(Replicas a, Replicas b) { return {a.count - b.count}; }
};

struct Gpus {
  int count = 0;
  friend auto operator<=>(Gpus, Gpus) = default;
  friend constexpr Gpus operator+(Gpus a, Gpus b) { return {a.count + b.count}; }
  friend constexpr Gpus operator-(Gpus a, Gpus b) { return {a.count - b.count}; }
  constexpr Gpus& operator+=(Gpus b) { return count += b.count, *this; }
  constexpr Gpus& operator-=(Gpus b) { return count -= b.count, *this; }
};

constexpr Gpus operator*(Replicas n, Gpus each) { return {n.count * each.count}; }

/// How many whole replicas of `each` GPUs fit; none into a negative or zero-sized room.
constexpr Replicas fitting(Gpus room, Gpus each) {
  return {room.count <= 0 || each.count <= 0 ? 0 : room.count / each.count};
}

}  // namespace ebb
