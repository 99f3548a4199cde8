// JSON that somebody else wrote: looked at without trust, and made fit for one line of a log.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

namespace ebb::answer {

/// A JSON value, or a discarded one; never throws.
nlohmann::json parsed(std::string_view body);

/// The object's member; null when there is none, or when it is no object.
const nlohmann::json* member(const nlohmann::json& object, const char* name);
/// The text of a string member; empty otherwise.
std::string text_of(const nlohmann::json& object, const char* name);

/// At most 200 bytes of it, cut at a character, without line breaks; only if it is UTF-8 at all.
std::string excerpt(std::string_view text);

/// What a body says went wrong: its `error`, else all of it; of an object the `message`, else the object as text; of
/// what is no JSON the first 200 bytes (the rule of Fireworks' public client).
std::string error_text(std::string_view body);

/// Gives every entry of a list a name of its own: "a", "a#2", and "#1" to the first that has none.
class UniqueNames {
 public:
  std::string next(const std::string& name);

 private:
  std::map<std::string, int> counts_;
  std::set<std::string> taken_;
};

}  // namespace ebb::answer
