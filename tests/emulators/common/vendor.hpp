// What the stand-ins of vendors' APIs have in common: answers as values, and the faults of a transport.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/emulators/common/http_server.hpp"

namespace ebb::emulator {

/// The answer to one request of an API.
struct Said {
  int status = 200;
  std::string body;
  Said() = default;
  Said(int code, std::string text) : status(code), body(std::move(text)) {}
  Said(int code, const char* text) : status(code), body(text) {}
  Said(int code, const nlohmann::json& object) : status(code), body(object.dump()) {}
};

/// What a fault's word does to a request: "429", "503", ... answer so and nothing is done; "close" and "hang": nothing
/// is done and no answer comes; "lost" and "lost_hang": it is done and no answer comes; "forget": it is answered as if
/// it was done, and is not. `act` does it, `refuse` makes the body of an error.
awaitable<void> answer_with_fault(std::string word, std::function<Said()> act, std::function<Said(int)> refuse,
                                  std::string success, std::shared_ptr<HttpReply> reply);

/// Never answers; returns when the client is gone.
awaitable<void> never_answer(std::shared_ptr<HttpReply> reply);

awaitable<void> send_json(Said said, std::shared_ptr<HttpReply> reply);

/// "a=b&c=d%20e", names and values decoded.
std::map<std::string, std::string> query_of(const std::string& query);

/// "/a/b/c" without empty parts, decoded.
std::vector<std::string> parts_of(const std::string& path);

}  // namespace ebb::emulator
