// The OpenAI wire format as values: requests in, answers, stream events and errors out. No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"
#include "tests/emulators/engine/spans.hpp"

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
  WeightsTag weights;        ///< its identity is system_fingerprint, its digest weights_digest
  std::int64_t created = 0;  ///< unix seconds
};

/// What will be generated, known beforehand since tokens are a function.
struct Continuation {
  int tokens = 0;        ///< made by the engine
  std::string text;      ///< without the stop text and what follows; filled only if cut short by `stop`
  bool stopped = false;  ///< by a stop text rather than by length
};
/// Looks for the first stop text within max_tokens.
Continuation continuation_of(const CompletionRequest& request, const WeightsSpans& spans);

struct Usage {
  int prompt_tokens = 0;
  int output_tokens = 0;
  int cached_tokens = 0;  ///< of the prompt: their KV entries were there already
};

/// A whole answer.
/// With more than one span, `weight_versions` says which tokens came from which weights.
std::string render_answer(const AnswerFrame& frame, const std::string& text, const std::string& finish_reason,
                          const Usage& usage, const WeightsSpans& spans);
/// `data: {...}\n\n` with one piece of text; an empty reason is null.
std::string render_piece(const AnswerFrame& frame, const std::string& piece, const std::string& finish_reason);
/// The event that opens a chat's stream.
std::string render_role(const AnswerFrame& frame);
std::string render_usage(const AnswerFrame& frame, const Usage& usage);
inline constexpr std::string_view kStreamEnd = "data: [DONE]\n\n";

std::string render_error(int status, const std::string& type, const std::string& message);
/// `adapters`: path by name.
std::string render_models(const std::string& model, int max_model_len, std::int64_t created,
                          const std::map<std::string, std::string>& adapters);

}  // namespace ebb::emulator
