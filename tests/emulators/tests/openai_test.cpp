#include "tests/emulators/engine/openai.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/emulators/common/tokens.hpp"

namespace ebb::emulator {
namespace {

TEST(OpenAi, ReadsACompletion) {
  const auto request =
      completion_request_from(Kind::completion, R"({"model":"m","prompt":"a b","max_tokens":7,"stream":true,"stop":"x",
                           "stream_options":{"include_usage":true}})");
  ASSERT_TRUE(request) << request.error().what;
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->prompt, "a b");
  EXPECT_EQ(request->max_tokens, 7);
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->include_usage);
  EXPECT_EQ(request->stop, std::vector<std::string>{"x"});
}

TEST(OpenAi, ReadsAChatWithPartsAndTheNewNameOfMaxTokens) {
  const auto request = completion_request_from(Kind::chat, R"({"model":"m","max_completion_tokens":3,
      "messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hi"}]}]})");
  ASSERT_TRUE(request) << request.error().what;
  EXPECT_EQ(request->prompt, "system: be brief\nuser: hi\nassistant:");
  EXPECT_EQ(request->max_tokens, 3);
}

TEST(OpenAi, RefusesBadBodiesWithAReason) {
  const struct {
    const char* body;
    const char* reason;
    int line;
  } rows[] = {
      {"", "JSON", __LINE__},
      {"[]", "object", __LINE__},
      {R"({"model":"m"})", "prompt", __LINE__},
      {R"({"model":1,"prompt":"x"})", "model", __LINE__},
      {R"({"model":"m","prompt":["a","b"]})", "one prompt", __LINE__},
      {R"({"model":"m","prompt":"x","n":2})", "n=1", __LINE__},
      {R"({"model":"m","prompt":"x","max_tokens":0})", "max_tokens", __LINE__},
      {R"({"model":"m","prompt":"x","max_tokens":1e9})", "max_tokens", __LINE__},
      {R"({"model":"m","prompt":"x","max_tokens":99999999999})", "max_tokens", __LINE__},
      {R"({"model":"m","prompt":"x","stream":"yes"})", "stream", __LINE__},
      {R"({"model":"m","prompt":"x","stop":[1]})", "stop", __LINE__},
  };
  for (const auto& row : rows) {
    const auto request = completion_request_from(Kind::completion, row.body);
    ASSERT_FALSE(request) << "line " << row.line;
    EXPECT_NE(request.error().what.find(row.reason), std::string::npos) << "line " << row.line << request.error().what;
  }
  EXPECT_FALSE(completion_request_from(Kind::chat, R"({"model":"m","messages":[]})"));
  EXPECT_FALSE(completion_request_from(Kind::chat, R"({"model":"m","messages":[{"content":"x"}]})"));
  EXPECT_FALSE(completion_request_from(Kind::chat, R"({"messages":[{"role":"u","content":[3]}]})"));
}

TEST(OpenAi, AStopTextEndsTheContinuationBeforeIt) {
  CompletionRequest request;
  request.prompt = "a prompt";
  request.max_tokens = 50;
  const TokenFunction tokens(request.prompt, "w");
  request.stop = {tokens.piece(9)};
  const Continuation made = continuation_of(request, {{0, {"w", ""}}});
  EXPECT_TRUE(made.stopped);
  EXPECT_LE(made.tokens, 10);
  EXPECT_EQ(made.text.find(request.stop.front()), std::string::npos);
  EXPECT_EQ(tokens.text(50).substr(0, made.text.size()), made.text);
  request.stop = {"never said"};
  EXPECT_EQ(continuation_of(request, {{0, {"w", ""}}}).tokens, 50);
}

TEST(OpenAi, PiecesAreServerSentEvents) {
  AnswerFrame frame;
  frame.id = "cmpl-1";
  frame.model = "m";
  frame.weights.identity = "w";
  const std::string event = render_piece(frame, " word", "");
  ASSERT_TRUE(event.starts_with("data: {"));
  ASSERT_TRUE(event.ends_with("}\n\n"));
  const auto json = nlohmann::json::parse(event.substr(6));
  EXPECT_EQ(json.at("object"), "text_completion");
  EXPECT_EQ(json.at("choices").at(0).at("text"), " word");
  EXPECT_TRUE(json.at("choices").at(0).at("finish_reason").is_null());
  EXPECT_EQ(json.at("system_fingerprint"), "w");
  frame.kind = Kind::chat;
  const auto chat = nlohmann::json::parse(render_piece(frame, "x", "length").substr(6));
  EXPECT_EQ(chat.at("object"), "chat.completion.chunk");
  EXPECT_EQ(chat.at("choices").at(0).at("delta").at("content"), "x");
  EXPECT_EQ(chat.at("choices").at(0).at("finish_reason"), "length");
}

TEST(OpenAi, AnErrorSurvivesTextThatIsNoUtf8) {
  const auto json = nlohmann::json::parse(render_error(404, "NotFoundError", "model \xff"));
  EXPECT_EQ(json.at("error").at("code"), 404);
}

}  // namespace
}  // namespace ebb::emulator
