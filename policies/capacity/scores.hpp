// How far loads went, counted in bins that forget, and how far a given share of them went at least.
#pragma once

#include <array>
#include <cstddef>

namespace ebb {

struct Scores {
  /// Bins grow by a fifth each: from 0.05, of which nobody takes note, to 60; the last one has all beyond it.
  static constexpr std::size_t kBins = 40;

  std::array<double, kBins> counts{};

  /// As after `count` scores with an exponential tail of mean 1.
  [[nodiscard]] static Scores exponential(double count);

  void see(double score);
  /// What was seen counts `keep` (0 to 1) of what it did.
  void fade(double keep);
  /// The score that a share `alpha` of what was seen exceeds, with straight lines within a bin; 0 if nothing was seen.
  [[nodiscard]] double exceeded_by(double alpha) const;
};

}  // namespace ebb
