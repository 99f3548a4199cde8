// Any bytes as the line of an adviser, or as the question a plugin's host reads: no crash, and never a need that cannot
// be.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "adapters/advisor/protocol.hpp"
#include "adapters/exposition/utf8.hpp"

using namespace ebb;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const Result<advisor::Answer> answer = advisor::answer_from(line);
  if (!answer.ok()) {
    if (!exposition::valid_utf8(answer.error().what)) std::abort();
  } else if (answer->advice.ok()) {
    const Advice& advice = *answer->advice;
    if (!std::isfinite(advice.need) || advice.need < 0 || advice.need > 100'000) std::abort();
    if (advice.note.size() > advisor::kMostNote || !exposition::valid_utf8(advice.note)) std::abort();
  } else if (!exposition::valid_utf8(answer->advice.error().what)) {
    std::abort();
  }
  const Result<advisor::Question> question = advisor::question_from(line);
  if (question.ok() && !advisor::question_from(advisor::question_line(question->seq, question->question)).ok())
    std::abort();
  return 0;
}
