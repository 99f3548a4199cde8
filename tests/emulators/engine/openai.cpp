#include "tests/emulators/engine/openai.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/model/json_text.hpp"
#include "tests/emulators/common/tokens.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;

constexpr int kTokensMax = 1 << 20;
constexpr int kChatDefaultTokens = 256;  // a real engine would go on to the end of its context

Error invalid(std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; }

/// A prompt is a text, a list with one text, or a list of token ids, which stand for themselves.
Result<std::string> prompt_from(const json& body) {
  const auto found = body.find("prompt");
  if (found == body.end()) return invalid("'prompt' is missing");
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array() || found->empty()) return invalid("'prompt' must be a text or a list");
  if (found->size() == 1 && found->front().is_string()) return found->front().get<std::string>();
  std::string joined;
  for (const json& id : *found) {
    if (!id.is_number_integer()) return invalid("only one prompt per request is supported");
    if (!joined.empty()) joined += ' ';
    joined += id.dump();
  }
  return joined;
}

Result<std::string> content_from(const json& message) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return std::string();
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return invalid("'content' must be a text or a list of parts");
  std::string text;
  for (const json& part : *content) {
    const bool is_text = part.is_object() && part.contains("text") && part.at("text").is_string();
    if (!is_text) return invalid("only text parts are supported");
    text += part.at("text").get<std::string>();
  }
  return text;
}

Result<std::string> chat_from(const json& body) {
  const auto found = body.find("messages");
  if (found == body.end() || !found->is_array() || found->empty()) return invalid("'messages' must be a list");
  std::vector<ChatMessage> messages;
  for (const json& item : *found) {
    if (!item.is_object() || !item.contains("role") || !item.at("role").is_string()) {
      return invalid("a message needs a 'role'");
    }
    auto content = content_from(item);
    if (!content) return content.error();
    ChatMessage message;
    message.role = item.at("role").get<std::string>();
    message.content = std::move(*content);
    messages.push_back(std::move(message));
  }
  return chat_prompt(messages);
}

Result<int> count_from(const json& body, const char* key, int otherwise, int max) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null()) return otherwise;
  if (!found->is_number_integer()) return invalid(std::string("'") + key + "' must be a whole number");
  const auto value = found->get<std::int64_t>();
  if (value < 1 || value > max) return invalid(std::string("'") + key + "' is out of range");
  return static_cast<int>(value);
}

Result<std::vector<std::string>> stop_from(const json& body) {
  std::vector<std::string> texts;
  const auto found = body.find("stop");
  if (found == body.end() || found->is_null()) return texts;
  const json list = found->is_array() ? *found : json::array({*found});
  if (list.size() > 16) return invalid("too many 'stop' texts");
  for (const json& item : list) {
    if (!item.is_string()) return invalid("'stop' must be a text or a list of texts");
    if (!item.get<std::string>().empty()) texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<bool> flag_from(const json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null()) return false;
  if (!found->is_boolean()) return invalid(std::string("'") + key + "' must be true or false");
  return found->get<bool>();
}

Result<CompletionRequest> fields_from(Kind kind, const json& body) {
  CompletionRequest request;
  request.kind = kind;
  const auto model = body.find("model");
  if (model != body.end() && model->is_string()) request.model = model->get<std::string>();
  if (model != body.end() && !model->is_string()) return invalid("'model' must be a text");
  auto prompt = kind == Kind::chat ? chat_from(body) : prompt_from(body);
  if (!prompt) return prompt.error();
  request.prompt = std::move(*prompt);
  const bool newer = kind == Kind::chat && body.contains("max_completion_tokens");
  const auto max_tokens = count_from(body, newer ? "max_completion_tokens" : "max_tokens",
                                     kind == Kind::chat ? kChatDefaultTokens : 16, kTokensMax);
  if (!max_tokens) return max_tokens.error();
  request.max_tokens = *max_tokens;
  const auto n = count_from(body, "n", 1, 128);
  if (!n) return n.error();
  if (*n != 1) return invalid("only n=1 is supported");
  const auto stream = flag_from(body, "stream");
  if (!stream) return stream.error();
  request.stream = *stream;
  if (const auto options = body.find("stream_options"); options != body.end() && options->is_object()) {
    const auto usage = flag_from(*options, "include_usage");
    if (!usage) return usage.error();
    request.include_usage = *usage;
  }
  auto stop = stop_from(body);
  if (!stop) return stop.error();
  request.stop = std::move(*stop);
  return request;
}

json frame_of(const AnswerFrame& frame, bool chunk) {
  const char* object = frame.kind == Kind::completion ? "text_completion"
                       : chunk                        ? "chat.completion.chunk"
                                                      : "chat.completion";
  return json{{"id", frame.id},
              {"object", object},
              {"created", frame.created},
              {"model", frame.model},
              {"choices", json::array()},
              {"system_fingerprint", frame.weights.identity},
              {"weights_digest", frame.weights.digest.empty() ? json(nullptr) : json(frame.weights.digest)}};
}

json usage_of(const Usage& usage) {
  return json{{"prompt_tokens", usage.prompt_tokens},
              {"completion_tokens", usage.output_tokens},
              {"total_tokens", usage.prompt_tokens + usage.output_tokens},
              {"prompt_tokens_details", json{{"cached_tokens", usage.cached_tokens}}}};
}

json reason_of(const std::string& reason) { return reason.empty() ? json(nullptr) : json(reason); }

std::string event(const json& data) { return "data: " + data.dump() + "\n\n"; }

}  // namespace

Result<CompletionRequest> completion_request_from(Kind kind, std::string_view body) {
  const json parsed = json::parse(body, nullptr, false);
  if (parsed.is_discarded()) return invalid("the body is not valid JSON");
  if (!parsed.is_object()) return invalid("the body must be a JSON object");
  return fields_from(kind, parsed);
}

Continuation continuation_of(const CompletionRequest& request, const WeightsSpans& spans) {
  Continuation made;
  made.tokens = request.max_tokens;
  if (request.stop.empty()) return made;
  const SpanTokens tokens(request.prompt, spans);
  std::size_t longest = 0;
  for (const std::string& stop : request.stop) longest = std::max(longest, stop.size());
  std::string text;
  for (int i = 0; i < request.max_tokens; ++i) {
    const std::size_t from = text.size() > longest ? text.size() - longest : 0;
    text += tokens.piece(i);
    std::size_t first = std::string::npos;
    for (const std::string& stop : request.stop) first = std::min(first, text.find(stop, from));
    if (first == std::string::npos) continue;
    made.tokens = i + 1;
    made.text = text.substr(0, first);
    made.stopped = true;
    return made;
  }
  return made;
}

std::string render_answer(const AnswerFrame& frame, const std::string& text, const std::string& finish_reason,
                          const Usage& usage, const WeightsSpans& spans) {
  json answer = frame_of(frame, false);
  json choice{{"index", 0}, {"logprobs", nullptr}, {"finish_reason", finish_reason}};
  if (frame.kind == Kind::chat) {
    choice["message"] = json{{"role", "assistant"}, {"content", text}};
  } else {
    choice["text"] = text;
  }
  answer["choices"].push_back(std::move(choice));
  answer["usage"] = usage_of(usage);
  for (std::size_t i = 0; spans.size() > 1 && i < spans.size(); ++i) {
    const int end = i + 1 < spans.size() ? spans[i + 1].from : usage.output_tokens;
    answer["weight_versions"].push_back(
        json{{"start", spans[i].from}, {"end", end}, {"version", spans[i].tag.identity}});
  }
  return answer.dump();
}

std::string render_piece(const AnswerFrame& frame, const std::string& piece, const std::string& finish_reason) {
  json answer = frame_of(frame, true);
  json choice{{"index", 0}, {"logprobs", nullptr}, {"finish_reason", reason_of(finish_reason)}};
  if (frame.kind == Kind::chat) {
    choice["delta"] = json{{"content", piece}};
  } else {
    choice["text"] = piece;
  }
  answer["choices"].push_back(std::move(choice));
  return event(answer);
}

std::string render_role(const AnswerFrame& frame) {
  json answer = frame_of(frame, true);
  const json delta{{"role", "assistant"}, {"content", ""}};
  answer["choices"].push_back(json{{"index", 0}, {"logprobs", nullptr}, {"finish_reason", nullptr}, {"delta", delta}});
  return event(answer);
}

std::string render_usage(const AnswerFrame& frame, const Usage& usage) {
  json answer = frame_of(frame, true);
  answer["usage"] = usage_of(usage);
  return event(answer);
}

std::string render_error(int status, const std::string& type, const std::string& message) {
  const json error{{"message", message}, {"type", type}, {"param", nullptr}, {"code", status}};
  return json_text({{"error", error}});
}

std::string render_models(const std::string& model, int max_model_len, std::int64_t created,
                          const std::map<std::string, std::string>& adapters) {
  const json card{{"id", model},
                  {"object", "model"},
                  {"created", created},
                  {"owned_by", "ebb-engine"},
                  {"root", model},
                  {"parent", nullptr},
                  {"max_model_len", max_model_len}};
  json data = json::array({card});
  for (const auto& [name, path] : adapters) {
    data.push_back(json{{"id", name},
                        {"object", "model"},
                        {"created", created},
                        {"owned_by", "ebb-engine"},
                        {"root", path},
                        {"parent", model}});
  }
  return json{{"object", "list"}, {"data", std::move(data)}}.dump();
}

}  // namespace ebb::emulator
