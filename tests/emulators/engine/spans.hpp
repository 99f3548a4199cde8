// Which weights made which tokens of one answer.
#pragma once

#include <string>
#include <vector>

#include "tests/emulators/common/tokens.hpp"

namespace ebb::emulator {

struct WeightsTag {
  std::string identity;  ///< goes into every token
  std::string digest;    ///< of what was read (snapshot_files.hpp); empty: nothing was
  friend bool operator==(const WeightsTag&, const WeightsTag&) = default;
};

/// The tokens from `from` up to the next span's.
struct WeightsSpan {
  int from = 0;
  WeightsTag tag;
  friend bool operator==(const WeightsSpan&, const WeightsSpan&) = default;
};

/// Never empty; the first begins at 0, the last goes on.
using WeightsSpans = std::vector<WeightsSpan>;

inline const WeightsTag& tag_at(const WeightsSpans& spans, int position) {
  std::size_t i = spans.size() - 1;
  while (i > 0 && spans[i].from > position) --i;
  return spans[i].tag;
}

/// The words of one prompt, each under the weights of its span.
class SpanTokens {
 public:
  SpanTokens(std::string_view prompt, const WeightsSpans& spans) {
    for (const WeightsSpan& span : spans) parts_.emplace_back(span.from, TokenFunction(prompt, span.tag.identity));
  }
  [[nodiscard]] std::string piece(int position) const {
    std::size_t i = parts_.size() - 1;
    while (i > 0 && parts_[i].first > position) --i;
    return parts_[i].second.piece(position);
  }
  [[nodiscard]] std::string text(int count) const {
    std::string text;
    for (int i = 0; i < count; ++i) text += piece(i);
    return text;
  }

 private:
  std::vector<std::pair<int, TokenFunction>> parts_;
};

}  // namespace ebb::emulator
