// Text against a file under tests/golden/. EBB_UPDATE_GOLDEN=1 writes the file anew; the difference is reviewed like
// code.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace ebb::test {

inline std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// `name` is relative to tests/golden/.
inline void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(EBB_SOURCE_DIR) + "/tests/golden/" + name;
  if (std::getenv("EBB_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  EXPECT_EQ(text, file_text(path)) << "if the change is meant: EBB_UPDATE_GOLDEN=1, and review the difference of "
                                   << name;
}

}  // namespace ebb::test
