// The lines that Ebb and an adviser exchange, docs/policies.md: one JSON object each, no newline within. A question has
// a number, `seq`; the answer repeats it. Shared by the daemon and ebb-plugin-host.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/model/result.hpp"
#include "daemon/ports/advisor.hpp"

namespace ebb::advisor {

inline constexpr int kProtocolVersion = 1;
inline constexpr std::size_t kMostLine = 65'536;  // bytes of one answer
inline constexpr std::size_t kMostNote = 200;

struct Answer {
  std::uint64_t seq = 0;  ///< 0: belongs to no question; the adviser cannot go on, and says why
  Result<Advice> advice;  ///< or why there is none this time
};

/// With its newline.
std::string question_line(std::uint64_t seq, const AdviceQuestion& question);
std::string answer_line(const Answer& answer);

/// An error: this is no line of this protocol, and what comes after it cannot be trusted either. A number of replicas
/// that cannot be (negative, beyond 100,000) is an answer without advice.
Result<Answer> answer_from(std::string_view line);

struct Question {
  std::uint64_t seq = 0;
  AdviceQuestion question;
};
Result<Question> question_from(std::string_view line);

}  // namespace ebb::advisor
