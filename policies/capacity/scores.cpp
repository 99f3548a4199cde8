#include "policies/capacity/scores.hpp"

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

constexpr double kFirstEdge = 0.05;
constexpr double kRatio = 1.2;

/// Upper edge of each bin.
const std::array<double, Scores::kBins> kEdges = [] {
  std::array<double, Scores::kBins> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = kFirstEdge * std::pow(kRatio, static_cast<double>(i));
  return out;
}();
double upper_edge(std::size_t bin) { return kEdges[bin]; }
double lower_edge(std::size_t bin) { return bin == 0 ? 0 : kEdges[bin - 1]; }

std::size_t bin_of(double score) {
  return static_cast<std::size_t>(std::lower_bound(kEdges.begin(), kEdges.end() - 1, score) - kEdges.begin());
}

}  // namespace

Scores Scores::exponential(double count) {
  Scores out;
  for (std::size_t bin = 0; bin < kBins; ++bin)
    out.counts[bin] = count * (std::exp(-lower_edge(bin)) - std::exp(-upper_edge(bin)));
  return out;
}

void Scores::see(double score) { counts[bin_of(score)] += 1; }

void Scores::fade(double keep) {
  for (double& count : counts) count *= keep;
}

double Scores::exceeded_by(double alpha) const {
  double above = 0;
  for (const double count : counts) above += count;
  above *= alpha;
  for (std::size_t bin = kBins; bin-- > 0;) {
    if (counts[bin] > above) return upper_edge(bin) - (upper_edge(bin) - lower_edge(bin)) * above / counts[bin];
    above -= counts[bin];
  }
  return 0;
}

}  // namespace ebb
