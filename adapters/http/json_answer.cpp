#include "adapters/http/json_answer.hpp"

#include <algorithm>

#include "adapters/exposition/utf8.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::answer {

using nlohmann::json;

namespace {

constexpr std::size_t kTextMax = 200;

}  // namespace

json parsed(std::string_view body) { return json::parse(body, nullptr, false); }

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* name) {
  const json* value = member(object, name);
  return value != nullptr && value->is_string() ? value->get_ref<const std::string&>() : std::string();
}

std::string excerpt(std::string_view text) {
  if (!exposition::valid_utf8(text)) return "(not UTF-8)";
  std::size_t length = std::min(text.size(), kTextMax);
  while (length > 0 && length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  std::string out(text.substr(0, length));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return out;
}

std::string error_text(std::string_view body) {
  const json all = parsed(body);
  if (all.is_discarded()) return excerpt(body);
  const json* error = member(all, "error");
  const json& said = error != nullptr ? *error : all;
  if (const json* message = member(said, "message"); message != nullptr && message->is_string()) {
    return excerpt(message->get_ref<const std::string&>());
  }
  if (said.is_string()) return excerpt(said.get_ref<const std::string&>());
  return excerpt(json_text(said));
}

std::string UniqueNames::next(const std::string& name) {
  int& count = counts_[name];
  std::string out = name;
  // Another entry may really be called "a#2".
  while (out.empty() || taken_.contains(out)) {
    ++count;
    out = name + "#" + std::to_string(name.empty() ? count : count + 1);
  }
  taken_.insert(out);
  return out;
}

}  // namespace ebb::answer
