// Files that others read while we write.
#pragma once

#include <fstream>
#include <string>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

/// Replaces the file as a whole: a reader sees the old text or the new one, never half of it.
Status write_atomically(const std::string& path, const std::string& text);

/// The whole file.
Result<std::string> read_file(const std::string& path);

/// Appends lines, flushed one by one. An empty path swallows them.
class LineFile {
 public:
  Status open(const std::string& path);
  void write(const std::string& line);

 private:
  std::ofstream out_;
};

}  // namespace ebb::emulator
