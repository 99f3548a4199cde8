// The OpenAI wire format as values: requests in, answers, stream events and errors out. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

enum class Kind { completion, chat };

struct CompletionRequest {
  Kind kind = Kind::completion;
  std::string model;
  std::string prompt;  ///< of a chat: chat_prompt() of its messages
  int max_tokens = 16;
  bool stream = false;
  bool include_usage = false;  ///< stream_options
  std::vector<std::string> stop;
};

/// Reads a request body. Errors are `invalid` and say which field is wrong.
Result<CompletionRequest> completion_request_from(Kind kind, std::string_view body);

/// What one answer's parts have in common.
struct AnswerFrame {
  Kind kind = Kind::completion;
  std::string id;
  std::string model;
  std::string fingerprint;   ///< the weights identity
  std::int64_t created = 0;  ///< unix seconds
};

/// What will be generated, known beforehand since tokens are a function.
struct Continuation {
  int tokens = 0;        ///< made by the engine
  std::string text;      ///< without the stop text and what follows; filled only if cut short by `stop`
  bool stopped = false;  ///< by a stop text rather than by length
};
/// Looks for the first stop text within max_tokens.
Continuation continuation_of(const CompletionRequest& request, std::string_view weights);

/// A whole answer.
std::string render_answer(const AnswerFrame& frame, const std::string& text, const std::string& finish_reason,
                          int prompt_tokens, int output_tokens);
/// `data: {...}\n\n` with one piece of text; an empty reason is null.
std::string render_piece(const AnswerFrame& frame, const std::string& piece, const std::string& finish_reason);
/// The event that opens a chat's stream.
std::string render_role(const AnswerFrame& frame);
std::string render_usage(const AnswerFrame& frame, int prompt_tokens, int output_tokens);
inline constexpr std::string_view kStreamEnd = "data: [DONE]\n\n";

std::string render_error(int status, const std::string& type, const std::string& message);
std::string render_models(const std::string& model, int max_model_len, std::int64_t created);

}  // namespace ebb::emulator
