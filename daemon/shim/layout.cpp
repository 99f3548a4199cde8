#include "daemon/shim/layout.hpp"

#include <charconv>

namespace ebb::shim {

std::string file_name(std::string_view name) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    // A leading dot would make "..", or a file that listings hide.
    const bool plain = c > 0x20 && c < 0x7F && c != '/' && c != '%' && !(c == '.' && i == 0);
    if (plain) {
      out += static_cast<char>(c);
    } else {
      out += {'%', kHex[c >> 4], kHex[c & 0xF]};
    }
  }
  return out.empty() ? "%" : out;
}

std::string name_of_file(std::string_view file) {
  std::string out;
  for (std::size_t i = 0; i < file.size(); ++i) {
    int byte = 0;
    const bool coded = file[i] == '%' && i + 2 < file.size() &&
                       std::from_chars(file.data() + i + 1, file.data() + i + 3, byte, 16).ptr == file.data() + i + 3;
    if (coded) i += 2;
    out += coded ? static_cast<char>(byte) : file[i];
  }
  return out == "%" ? "" : out;
}

}  // namespace ebb::shim
