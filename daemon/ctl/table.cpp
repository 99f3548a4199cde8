#include "daemon/ctl/table.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace ebb::ctl {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = true;
};

/// The character at the front of `text`, which is not empty.
Character character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 1) return {first, 1, true};
  if (length == 0 || length > text.size()) return {0, 1, false};
  char32_t code = first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 1, false};
    code = (code << 6) | (byte(i) & 0x3fu);
  }
  static constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  const bool valid = code >= kLeast[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return {code, valid ? length : 1, valid};
}

bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

std::size_t columns(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  static constexpr std::array kNone{Range{0x300, 0x36f}, Range{0x200b, 0x200f}, Range{0x202a, 0x202e},
                                    Range{0xfe00, 0xfe0f}};
  static constexpr std::array kTwo{Range{0x1100, 0x115f}, Range{0x2e80, 0xa4cf},   Range{0xac00, 0xd7a3},
                                   Range{0xf900, 0xfaff}, Range{0xfe30, 0xfe6f},   Range{0xff00, 0xff60},
                                   Range{0xffe0, 0xffe6}, Range{0x1f300, 0x1faff}, Range{0x20000, 0x3fffd}};
  const auto in = [code](const auto& ranges) {
    return std::any_of(ranges.begin(), ranges.end(), [code](Range r) { return code >= r.first && code <= r.last; });
  };
  return in(kNone) ? 0 : in(kTwo) ? 2 : 1;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character next = character(text);
    width += next.valid ? columns(next.code) : 1;
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string harmless(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character next = character(text);
    if (!next.valid) {
      out += '?';
    } else if (is_control(next.code)) {
      out += ' ';
    } else {
      out += text.substr(0, next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  return out;
}

bool wants_colours(bool terminal, const char* no_color) {
  return terminal && (no_color == nullptr || *no_color == '\0');
}

std::string coloured(std::string_view text, Colour colour, bool colours) {
  if (!colours || colour == Colour::none) return std::string(text);
  const char* code = colour == Colour::good    ? "32"
                     : colour == Colour::warn  ? "33"
                     : colour == Colour::bad   ? "1;31"
                     : colour == Colour::quiet ? "2"
                                               : "1";
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

Table::Table(std::vector<std::string> headings, bool colours) : colours_(colours) {
  for (std::string& heading : headings) {
    right_.push_back(!heading.empty() && heading.front() == '>');
    headings_.emplace_back(right_.back() ? heading.substr(1) : heading, Colour::quiet);
  }
}

void Table::row(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }

std::string Table::text(const std::string& empty) const {
  if (rows_.empty()) return empty + "\n";
  std::vector<std::size_t> widths;
  for (const Cell& heading : headings_) widths.push_back(display_width(heading.text));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i].text));
  }
  std::string out = line(headings_, widths);
  for (const auto& row : rows_) out += line(row, widths);
  return out;
}

std::string Table::line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths) const {
  std::string out;
  std::string gap;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - display_width(cells[i].text), ' ');
    if (right_[i]) gap += padding;
    if (!cells[i].text.empty()) out += gap + coloured(cells[i].text, cells[i].colour, colours_);
    if (!cells[i].text.empty()) gap.clear();
    gap += (right_[i] ? "" : padding) + "  ";
  }
  return out + "\n";
}

}  // namespace ebb::ctl
