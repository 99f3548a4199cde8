// The lines themselves.
#include "adapters/advisor/protocol.hpp"

#include <gtest/gtest.h>

#include "tests/adapters/advisor/rig.hpp"

namespace ebb::advisor {
namespace {

std::string problem(const std::string& line) {
  const Result<Answer> answer = answer_from(line);
  if (!answer.ok()) return answer.error().what;
  return answer->advice.ok() ? "" : "declined: " + answer->advice.error().what;
}

TEST(Protocol, AQuestionIsOneLineThatTheDocumentationShows) {
  EXPECT_EQ(question_line(7, testing::question(24)),
            R"({"at":"2026-03-01T14:00:00.000Z","deployment":"chat@p","expected":3,"max":8,"min":1,"ready":3,)"
            R"("reported":3,"seq":7,"signals":{"in_flight":{"at":"2026-03-01T14:00:00.000Z","value":24.0}},)"
            R"("version":1})"
            "\n");
}

TEST(Protocol, AQuestionSurvivesTheWay) {
  AdviceQuestion asked = testing::question(24);
  asked.signals["kv_usage"] = {Missing{"1 of 3 replicas reported", asked.at}, 0.5};
  const Result<Question> back = question_from(question_line(9, asked));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(back->seq, 9u);
  EXPECT_EQ(back->question.signals, asked.signals);
  EXPECT_EQ(question_line(9, back->question), question_line(9, asked));
}

TEST(Protocol, AnAnswerSurvivesTheWay) {
  const Result<Answer> back = answer_from(answer_line({4, Advice{2.5, "a \"note\""}}));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->seq, 4u);
  EXPECT_EQ(*back->advice, (Advice{2.5, "a \"note\""}));
  EXPECT_EQ(problem(answer_line({4, Error{ErrorCode::internal, "not now", false}})), "declined: not now");
}

TEST(Protocol, WhatIsNoAnswerIsNamed) {
  EXPECT_EQ(problem("{"), "printed '{', which is no JSON object");
  EXPECT_EQ(problem(""), "printed '', which is no JSON object");
  EXPECT_EQ(problem("3"), "printed '3', which is no JSON object");
  EXPECT_EQ(problem("\x01x\xff"), "printed '?x?', which is no JSON object");
  EXPECT_EQ(problem(R"({"seq":1,"need":1})"), "printed a line without its version");
  EXPECT_EQ(problem(R"({"version":2,"seq":1,"need":1})"), "speaks version 2 of the protocol, not 1");
  EXPECT_EQ(problem(R"({"version":1,"seq":-1,"need":1})"), "printed a line without the question's seq");
  EXPECT_EQ(problem(R"({"version":1,"seq":1,"need":1e999})").substr(0, 7), "printed");
}

TEST(Protocol, WhatCannotBeIsNoAdvice) {
  EXPECT_EQ(problem(R"({"version":1,"seq":1})"), "declined: answered without a number 'need'");
  EXPECT_EQ(problem(R"({"version":1,"seq":1,"need":"3"})"), "declined: answered without a number 'need'");
  EXPECT_EQ(problem(R"({"version":1,"seq":1,"need":null})"), "declined: answered without a number 'need'");
  EXPECT_EQ(problem(R"({"version":1,"seq":1,"need":-0.5})"), "declined: answered a need of -0.5 replicas");
  EXPECT_EQ(problem(R"({"version":1,"seq":1,"need":100001})"), "declined: answered a need of 100001 replicas");
  EXPECT_EQ(problem(R"({"version":1,"seq":1,"need":3})"), "");
}

TEST(Protocol, ANoteIsOneLineOfAtMostTwoHundredBytes) {
  const Result<Answer> answer =
      answer_from(R"({"version":1,"seq":1,"need":1,"note":"a\nb)" + std::string(196, 'x') + "\xc3\xa4" + R"("})");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->advice->note, "a b" + std::string(196, 'x')) << "a letter is not cut in half";
}

}  // namespace
}  // namespace ebb::advisor
