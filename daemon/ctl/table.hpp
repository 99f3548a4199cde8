// Text for terminals: aligned columns, colour where it is wanted, nothing that could move the cursor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ebb::ctl {

enum class Colour { none, good, warn, bad, quiet, bold };

/// Columns a terminal gives this text: wide CJK characters and emoji take two, combining marks none.
std::size_t display_width(std::string_view text);

/// Without control characters and broken UTF-8: what comes from elsewhere must not write escape sequences.
std::string harmless(std::string_view text);

/// Whether output gets colours: on a terminal, unless NO_COLOR is set to something (no-color.org). Null: not set.
bool wants_colours(bool terminal, const char* no_color);

/// The text in this colour, or as it is when `colours` is false.
std::string coloured(std::string_view text, Colour colour, bool colours);

struct Cell {
  std::string text;
  Colour colour = Colour::none;
  Cell(std::string text_, Colour colour_ = Colour::none)
      : text(harmless(text_)), colour(colour_) {}  // NOLINT(google-explicit-constructor)
  Cell(const char* text_) : text(text_) {}         // NOLINT(google-explicit-constructor)
};

class Table {
 public:
  /// A heading that starts with '>' is of a column of numbers, to be aligned right.
  Table(std::vector<std::string> headings, bool colours);
  void row(std::vector<Cell> cells);
  /// Two spaces between columns, none at the end of a line. `empty` stands alone when there are no rows.
  [[nodiscard]] std::string text(const std::string& empty) const;

 private:
  [[nodiscard]] std::string line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths) const;
  std::vector<Cell> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<Cell>> rows_;
  bool colours_;
};

}  // namespace ebb::ctl
