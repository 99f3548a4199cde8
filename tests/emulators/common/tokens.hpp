// The stand-in model. It has no weights; a token is a function of (prompt, position, weights identity) that anybody
// can compute again, so that a client can check every token it received and tell which weights made it:
//
//   h(text)  = FNV-1a, 64 bit
//   token(i) = vocabulary[ mix( h(prompt) + mix(h(identity)) + (i + 1) * 0x9E3779B97F4A7C15 ) mod 256 ]
//   mix      = the finaliser of SplitMix64
//   vocabulary[16 * a + b] = first[a] + second[b], 256 words of four letters
//
// The text of a completion is its words joined by one blank. A prompt's length in tokens is its number of words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ebb::emulator {

/// One message of a chat.
struct ChatMessage {
  std::string role;
  std::string content;
};

/// The prompt a chat stands for: "<role>: <content>\n" for each message, then "assistant:".
std::string chat_prompt(const std::vector<ChatMessage>& messages);

/// Words in the text, at least 1: an engine always has a begin-of-text token to work on.
int count_tokens(std::string_view text);

/// The continuation of one prompt under one weights identity.
class TokenFunction {
 public:
  TokenFunction(std::string_view prompt, std::string_view weights);
  /// The word at `position`, from 0.
  [[nodiscard]] std::string word(int position) const;
  /// What a stream sends for `position`: the word, with a blank before it unless it is the first.
  [[nodiscard]] std::string piece(int position) const;
  /// The pieces [0, count) joined.
  [[nodiscard]] std::string text(int count) const;

 private:
  std::uint64_t base_;
};

}  // namespace ebb::emulator
