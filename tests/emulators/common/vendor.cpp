#include "tests/emulators/common/vendor.hpp"

#include <algorithm>
#include <cstdlib>

#include "tests/emulators/common/tasks.hpp"

namespace ebb::emulator {

namespace {

constexpr double kClientCheck = 0.02;  // how often a request that is never answered looks whether somebody waits

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0;
    if (escape && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

/// The pieces between the marks, empty ones left out.
std::vector<std::string> split(const std::string& text, char mark) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(mark, at), text.size());
    if (end > at) out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace

awaitable<void> never_answer(std::shared_ptr<HttpReply> reply) {
  bool runs = true;
  while (runs && !reply->client_gone()) runs = co_await pause(kClientCheck);
}

awaitable<void> send_json(Said said, std::shared_ptr<HttpReply> reply) {
  Headers headers;
  headers["content-type"] = "application/json";
  (void)co_await reply->send(said.status, std::move(headers), std::move(said.body));
}

awaitable<void> answer_with_fault(std::string word, std::function<Said()> act, std::function<Said(int)> refuse,
                                  std::string success, std::shared_ptr<HttpReply> reply) {
  if (word == "lost" || word == "lost_hang") (void)act();
  if (word == "close" || word == "lost") co_return;  // unfinished: the server closes the connection
  if (word == "hang" || word == "lost_hang") {
    co_await never_answer(reply);
    co_return;
  }
  Said said(200, std::move(success));
  if (word != "forget") said = refuse(std::atoi(word.c_str()));
  co_await send_json(std::move(said), reply);
}

std::map<std::string, std::string> query_of(const std::string& query) {
  std::map<std::string, std::string> out;
  for (const std::string& pair : split(query, '&')) {
    const std::size_t equals = std::min(pair.find('='), pair.size());
    out[decoded(pair.substr(0, equals))] = equals < pair.size() ? decoded(pair.substr(equals + 1)) : "";
  }
  return out;
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> out;
  for (const std::string& part : split(path, '/')) out.push_back(decoded(part));
  return out;
}

}  // namespace ebb::emulator
