#include "daemon/pull/s3_list.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "daemon/shim/files.hpp"

namespace ebb::pull {
namespace {

Error malformed(const std::string& what) { return Error{ErrorCode::malformed, "the store's listing " + what, false}; }

void append_utf8(std::string& out, std::uint32_t point) {
  const auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) return byte(0xC0 | (point >> 6)), byte(0x80 | (point & 63));
  if (point < 0x10000) {
    return byte(0xE0 | (point >> 12)), byte(0x80 | ((point >> 6) & 63)), byte(0x80 | (point & 63));
  }
  byte(0xF0 | (point >> 18)), byte(0x80 | ((point >> 12) & 63)), byte(0x80 | ((point >> 6) & 63)),
      byte(0x80 | (point & 63));
}

/// "amp", "#38" or "#x26".
bool append_entity(std::string& out, std::string_view name) {
  if (name == "amp") return out += '&', true;
  if (name == "lt") return out += '<', true;
  if (name == "gt") return out += '>', true;
  if (name == "quot") return out += '"', true;
  if (name == "apos") return out += '\'', true;
  if (!name.starts_with('#')) return false;
  name.remove_prefix(1);
  const bool hex = name.starts_with('x');
  if (hex) name.remove_prefix(1);
  std::uint32_t point = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), point, hex ? 16 : 10);
  if (error != std::errc{} || end != name.data() + name.size() || point > 0x10FFFF) return false;
  append_utf8(out, point);
  return true;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t mark = std::min(text.find('&'), text.size());
    out += text.substr(0, mark);
    text.remove_prefix(mark);
    if (text.empty()) break;
    const std::size_t end = text.find(';');
    if (end == std::string_view::npos || !append_entity(out, text.substr(1, end - 1))) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  return out;
}

/// What stands between the first <tag ...> and its </tag>.
std::optional<std::string_view> inside(std::string_view xml, const std::string& tag) {
  std::size_t from = xml.find("<" + tag + ">");
  if (from == std::string_view::npos) from = xml.find("<" + tag + " ");
  if (from == std::string_view::npos) return std::nullopt;
  from = xml.find('>', from) + 1;
  const std::size_t end = from == 0 ? std::string_view::npos : xml.find("</" + tag + ">", from);
  if (end == std::string_view::npos) return std::nullopt;
  return xml.substr(from, end - from);
}

std::optional<std::string> text_in(std::string_view xml, const std::string& tag) {
  const auto found = inside(xml, tag);
  return found ? unescaped(*found) : std::nullopt;
}

Result<ListedKey> key_from(std::string_view xml) {
  const auto key = text_in(xml, "Key");
  const auto size = text_in(xml, "Size");
  const auto etag = text_in(xml, "ETag");
  if (!key || !size || !etag) return malformed("has an entry without Key, Size or ETag");
  for (const char c : *etag) {
    // It goes into a header.
    if (c < 0x20 || c == 0x7f) return malformed("has an ETag with a control character");
  }
  ListedKey listed{*key, 0, bare_etag(*etag)};
  const auto [end, error] = std::from_chars(size->data(), size->data() + size->size(), listed.size);
  // What no file may have, so that sums of sizes cannot overflow.
  if (error != std::errc{} || end != size->data() + size->size() || listed.size > (1ull << 50))
    return malformed("has the size '" + shim::printable(size->substr(0, 32)) + "'");
  return listed;
}

}  // namespace

Result<ListPage> list_page_from(std::string_view xml) {
  const auto root = inside(xml, "ListBucketResult");
  if (!root) return malformed("is no ListBucketResult");
  ListPage page;
  std::string_view rest = *root;
  static constexpr std::string_view kOpen = "<Contents>";
  static constexpr std::string_view kClose = "</Contents>";
  for (std::size_t from = rest.find(kOpen); from != std::string_view::npos; from = rest.find(kOpen)) {
    const std::size_t end = rest.find(kClose, from);
    if (end == std::string_view::npos) return malformed("ends inside of an entry");
    Result<ListedKey> key = key_from(rest.substr(from + kOpen.size(), end - from - kOpen.size()));
    if (!key.ok()) return key.error();
    page.keys.push_back(std::move(*key));
    rest.remove_prefix(end + kClose.size());
  }
  if (text_in(*root, "IsTruncated").value_or("false") != "true") return page;
  page.next = text_in(*root, "NextContinuationToken").value_or("");
  if (page.next.empty()) return malformed("is cut and does not say how to go on");
  return page;
}

std::string bare_etag(std::string_view text) {
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

std::string s3_error_text(std::string_view xml) {
  const auto code = text_in(xml, "Code");
  if (!code) return "";
  return shim::printable((*code + ": " + text_in(xml, "Message").value_or("")).substr(0, 256));
}

}  // namespace ebb::pull
