#include "tests/emulators/load/call.hpp"

#include <spdlog/fmt/fmt.h>

#include <boost/asio.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "tests/emulators/common/clock.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;

CallEnd end_of(const Error& error, bool began) {
  switch (error.code) {
    case ErrorCode::timeout: return CallEnd::timeout;
    case ErrorCode::unreachable: return began ? CallEnd::broken : CallEnd::unavailable;
    case ErrorCode::internal: return CallEnd::broken;
    default: return CallEnd::malformed;
  }
}

/// Reads the events of one stream and judges them.
class StreamJudge {
 public:
  StreamJudge(const CallSpec& spec, CallOutcome& outcome, const OnToken& on_token)
      : spec_(spec), outcome_(outcome), on_token_(on_token) {}

  /// False once nothing more is wanted.
  bool take(const std::string& event) {
    if (event == "[DONE]") return finish();
    const json parsed = json::parse(event, nullptr, false);
    if (parsed.is_discarded() || !parsed.is_object()) return fail("an event that is no JSON object");
    if (!note_weights(parsed)) return fail("an event without weights identity");
    const auto choices = parsed.find("choices");
    if (choices == parsed.end() || !choices->is_array()) return fail("an event without choices");
    for (const json& choice : *choices) {
      if (!choice.is_object()) return fail("a choice that is no object");
      take_choice(choice);
    }
    return true;
  }

 private:
  bool finish() {
    const bool whole = finish_reason_ == "length" || finish_reason_ == "stop";
    outcome_.end = whole ? CallEnd::ok : CallEnd::broken;
    if (!whole) outcome_.detail = "finished by '" + finish_reason_ + "'";
    if (finish_reason_ == "length" && outcome_.tokens != spec_.max_tokens) {
      outcome_.mismatches += std::abs(spec_.max_tokens - outcome_.tokens);
    }
    return false;
  }

  bool fail(const char* what) {
    outcome_.end = CallEnd::malformed;
    outcome_.detail = what;
    return false;
  }

  bool note_weights(const json& event) {
    const auto found = event.find("system_fingerprint");
    if (found == event.end() || !found->is_string()) return false;
    const auto weights = found->get<std::string>();
    if (!tokens_ || weights != outcome_.weights) tokens_.emplace(effective_prompt(spec_), weights);
    outcome_.weights = weights;
    return true;
  }

  void take_choice(const json& choice) {
    const auto reason = choice.find("finish_reason");
    if (reason != choice.end() && reason->is_string()) finish_reason_ = reason->get<std::string>();
    std::string piece;
    const auto delta = choice.find("delta");
    const bool chat = delta != choice.end() && delta->is_object();
    const json& holder = chat ? *delta : choice;
    const auto text = holder.find(chat ? "content" : "text");
    if (text != holder.end() && text->is_string()) piece = text->get<std::string>();
    if (piece.empty()) return;
    const double now = monotonic_seconds();
    const bool first = outcome_.tokens == 0;
    if (on_token_) on_token_(first ? -1 : now - outcome_.last_token_at);
    if (first) outcome_.first_token_at = now;
    outcome_.last_token_at = now;
    if (piece != tokens_->piece(outcome_.tokens)) ++outcome_.mismatches;
    ++outcome_.tokens;
    note_use(unix_seconds());
  }

  void note_use(double now) {
    if (outcome_.uses.empty() || outcome_.uses.back().weights != outcome_.weights) {
      outcome_.uses.emplace_back();
      outcome_.uses.back().weights = outcome_.weights;
      outcome_.uses.back().first_unix = now;
    }
    outcome_.uses.back().last_unix = now;
    ++outcome_.uses.back().tokens;
  }

  const CallSpec& spec_;
  CallOutcome& outcome_;
  const OnToken& on_token_;
  std::optional<TokenFunction> tokens_;
  std::string finish_reason_;
};

void note(CallOutcome& outcome, const Error& error, bool began) {
  outcome.end = end_of(error, began);
  outcome.detail = error.what;
}

}  // namespace

const char* to_string(CallEnd end) {
  switch (end) {
    case CallEnd::ok: return "ok";
    case CallEnd::unavailable: return "unavailable";
    case CallEnd::broken: return "broken";
    case CallEnd::timeout: return "timeout";
    case CallEnd::refused: return "refused";
    case CallEnd::malformed: return "malformed";
  }
  return "unknown";
}

bool may_retry(const CallOutcome& outcome) {
  if (outcome.tokens > 0) return false;
  return outcome.end == CallEnd::unavailable || outcome.end == CallEnd::broken;
}

std::string effective_prompt(const CallSpec& spec) {
  if (!spec.chat) return spec.prompt;
  ChatMessage message;
  message.role = "user";
  message.content = spec.prompt;
  std::vector<ChatMessage> messages;
  messages.push_back(std::move(message));
  return chat_prompt(messages);
}

std::string body_of(const CallSpec& spec) {
  json body{{"model", spec.model}, {"max_tokens", spec.max_tokens}, {"stream", true}};
  if (spec.chat) {
    const json message{{"role", "user"}, {"content", spec.prompt}};
    body["messages"] = json::array({message});
  } else {
    body["prompt"] = spec.prompt;
  }
  return body.dump();
}

std::string make_prompt(Random& random, std::uint64_t number, int tokens) {
  std::string prompt = fmt::format("request {}", number);
  for (int i = 2; i < tokens; ++i) prompt += fmt::format(" w{}", random.next() % 5000);
  return prompt;
}

awaitable<CallOutcome> call_replica(HostPort to, CallSpec spec, OnToken on_token) {
  CallOutcome outcome;
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(spec.timeout_s);
  const Status connected = co_await call.connect(std::move(to));
  if (!connected) {
    note(outcome, connected.error(), false);
    co_return outcome;
  }
  Headers headers;
  headers["content-type"] = "application/json";
  headers["connection"] = "close";
  const std::string path = spec.chat ? "/v1/chat/completions" : "/v1/completions";
  std::string body = body_of(spec);
  const auto head = co_await call.ask("POST", path, headers, std::move(body));
  if (!head) {
    note(outcome, head.error(), false);
    co_return outcome;
  }
  outcome.status = head->status;
  if (head->status != 200) {
    outcome.end = head->status == 503 ? CallEnd::unavailable : CallEnd::refused;
    outcome.detail = fmt::format("HTTP {}", head->status);
    co_return outcome;
  }
  outcome.end = CallEnd::broken;
  outcome.detail = "the stream ended without [DONE]";
  SseParser parser;
  StreamJudge judge(spec, outcome, on_token);
  bool more = true;
  while (more) {
    const auto piece = co_await call.read_some();
    if (!piece) {
      note(outcome, piece.error(), true);
      break;
    }
    if (piece->empty()) break;
    for (const std::string& event : parser.feed(*piece)) more = more && judge.take(event);
  }
  co_return outcome;
}

}  // namespace ebb::emulator
