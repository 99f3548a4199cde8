#include "tests/emulators/load/files.hpp"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

namespace ebb::emulator {

namespace {

Error failed(const std::string& path) {
  return Error{ErrorCode::exhausted, fmt::format("{}: {}", path, std::strerror(errno)), false};
}

}  // namespace

Status write_atomically(const std::string& path, const std::string& text) {
  const std::string draft = path + ".new";
  {
    std::ofstream out(draft, std::ios::trunc | std::ios::binary);
    out << text;
    out.flush();
    if (!out) return failed(draft);
  }
  if (std::rename(draft.c_str(), path.c_str()) != 0) return failed(path);
  return Done{};
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return failed(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Status LineFile::open(const std::string& path) {
  if (path.empty()) return Done{};
  out_.open(path, std::ios::trunc | std::ios::binary);
  if (!out_) return failed(path);
  return Done{};
}

void LineFile::write(const std::string& line) {
  if (out_.is_open()) out_ << line << '\n' << std::flush;
}

}  // namespace ebb::emulator
