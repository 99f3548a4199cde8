// One attempt to have a completion streamed by one replica, every token checked.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/emulators/common/http_client.hpp"
#include "tests/emulators/common/tokens.hpp"
#include "tests/emulators/load/stats.hpp"

namespace ebb::emulator {

struct CallSpec {
  bool chat = false;
  std::string model;
  std::string prompt;  ///< of a chat: the user's message
  int max_tokens = 16;
  double timeout_s = 30;  ///< for the whole call
};

enum class CallEnd {
  ok,
  unavailable,  ///< connection refused, or broken before the first byte of an answer, or 503
  broken,       ///< the answer began and did not end as it should
  timeout,
  refused,    ///< any other status than 200 and 503
  malformed,  ///< no HTTP, no JSON, or no completion
};
const char* to_string(CallEnd end);

/// Tokens in a row that came from the same weights.
struct WeightsUse {
  std::string weights;
  int tokens = 0;
  double first_unix = 0;
  double last_unix = 0;
};

struct CallOutcome {
  CallEnd end = CallEnd::unavailable;
  int status = 0;             ///< HTTP status, 0 if none came
  int tokens = 0;             ///< received
  int mismatches = 0;         ///< tokens other than the deterministic function's
  double first_token_at = 0;  ///< monotonic seconds; only with tokens > 0
  double last_token_at = 0;
  std::string weights;           ///< system_fingerprint of the last event
  std::vector<WeightsUse> uses;  ///< more than one where weights changed in the middle
  std::string detail;
};

/// What a router may do again elsewhere: only what the user has seen nothing of. A timeout is never repeated: the
/// user has waited long enough to call it an error.
bool may_retry(const CallOutcome& outcome);

/// Runs the call. `on_token` (may be empty) is called for every token with the seconds since the one before, or a
/// negative number for the first.
using OnToken = std::function<void(double gap_s)>;
awaitable<CallOutcome> call_replica(HostPort to, CallSpec spec, OnToken on_token);

/// The request's body, and the prompt that the token function sees for it.
std::string body_of(const CallSpec& spec);
std::string effective_prompt(const CallSpec& spec);

/// A prompt of `tokens` words, different for every `number`.
std::string make_prompt(Random& random, std::uint64_t number, int tokens);

}  // namespace ebb::emulator
