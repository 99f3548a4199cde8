#include "adapters/s3/xml.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

namespace ebb {
namespace {

constexpr int kDepthMax = 16;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool ends_name(char c) { return is_space(c) || c == '>' || c == '/' || c == '<' || c == '='; }

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(static_cast<unsigned char>(value)); };
  const auto tail = [&](int shift) { byte(0x80U | ((code >> shift) & 0x3FU)); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) return byte(0xC0U | (code >> 6)), tail(0);
  if (code < 0x10000) return byte(0xE0U | (code >> 12)), tail(6), tail(0);
  byte(0xF0U | (code >> 18)), tail(12), tail(6), tail(0);
}

/// What stands between '&' and ';'.
bool append_entity(std::string& out, std::string_view name) {
  static constexpr std::pair<std::string_view, char> kNamed[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [known, c] : kNamed) {
    if (name == known) return out += c, true;
  }
  if (!name.starts_with('#')) return false;
  name.remove_prefix(1);
  const bool hex = name.starts_with('x');
  if (hex) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), code, hex ? 16 : 10);
  const bool whole = error == std::errc{} && end == name.data() + name.size();
  if (!whole || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  append_utf8(out, code);
  return true;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::optional<XmlElement> document() {
    XmlElement out;
    (void)skip("\xEF\xBB\xBF");
    if (!between() || !skip("<") || !element(out, 0) || !between() || !rest_.empty()) return std::nullopt;
    return out;
  }

 private:
  bool skip(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  void skip_space() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
  }
  bool past(std::string_view word) {
    const std::size_t at = rest_.find(word);
    if (at == std::string_view::npos) return false;
    rest_.remove_prefix(at + word.size());
    return true;
  }
  /// White space, comments and processing instructions.
  bool between() {
    for (;;) {
      skip_space();
      if (skip("<?")) {
        if (!past("?>")) return false;
      } else if (skip("<!--")) {
        if (!past("-->")) return false;
      } else {
        return true;
      }
    }
  }
  std::string_view name() {
    std::size_t n = 0;
    while (n < rest_.size() && !ends_name(rest_[n])) ++n;
    std::string_view word = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return word;
  }
  static std::string local(std::string_view word) {
    const std::size_t colon = word.find(':');
    return std::string(colon == std::string_view::npos ? word : word.substr(colon + 1));
  }
  /// The rest of a start tag; `closed` by "/>".
  bool attributes(bool& closed) {
    for (;;) {
      skip_space();
      closed = skip("/>");
      if (closed || skip(">")) return true;
      if (name().empty()) return false;
      skip_space();
      if (!skip("=")) return false;
      skip_space();
      if (rest_.empty() || (rest_.front() != '"' && rest_.front() != '\'')) return false;
      const char quote[] = {rest_.front(), '\0'};
      rest_.remove_prefix(1);
      if (rest_.substr(0, rest_.find(quote)).find('<') != std::string_view::npos || !past(quote)) return false;
    }
  }
  bool characters(std::string& out) {
    while (!rest_.empty() && rest_.front() != '<') {
      const std::size_t stop = std::min(rest_.find_first_of("<&"), rest_.size());
      out += rest_.substr(0, stop);
      rest_.remove_prefix(stop);
      if (!skip("&")) continue;
      const std::size_t end = rest_.find(';');
      if (end == std::string_view::npos || !append_entity(out, rest_.substr(0, end))) return false;
      rest_.remove_prefix(end + 1);
    }
    return true;
  }
  /// After its '<'.
  bool element(XmlElement& out, int depth) {
    const std::string_view whole = name();
    if (whole.empty() || depth >= kDepthMax) return false;
    out.name = local(whole);
    bool closed = false;
    if (!attributes(closed)) return false;
    if (closed) return true;
    for (;;) {
      if (!characters(out.text)) return false;
      if (skip("</")) {
        if (name() != whole) return false;
        skip_space();
        return skip(">");
      }
      if (skip("<!--")) {
        if (!past("-->")) return false;
      } else if (skip("<![CDATA[")) {
        const std::size_t end = rest_.find("]]>");
        if (end == std::string_view::npos) return false;
        out.text += rest_.substr(0, end);
        rest_.remove_prefix(end + 3);
      } else if (rest_.starts_with("<!") || !skip("<") || !element(out.children.emplace_back(), depth + 1)) {
        return false;
      }
    }
  }

  std::string_view rest_;
};

}  // namespace

const XmlElement* XmlElement::child(std::string_view of) const {
  const auto at = std::find_if(children.begin(), children.end(), [&](const XmlElement& one) { return one.name == of; });
  return at == children.end() ? nullptr : &*at;
}

std::string XmlElement::text_of(std::string_view of) const {
  const XmlElement* found = child(of);
  return found == nullptr ? std::string() : found->text;
}

Result<XmlElement> parse_xml(std::string_view text) {
  std::optional<XmlElement> document = Parser(text).document();
  if (document) return std::move(*document);
  return Error{ErrorCode::malformed, "the answer is no well-formed XML", true};
}

}  // namespace ebb
