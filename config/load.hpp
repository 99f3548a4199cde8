// From YAML to Config, or to the list of everything that is wrong with it.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace ebb {

/// Line and column count from 1; 0 where the problem is the file itself.
struct Problem {
  std::string file;
  int line = 0;
  int column = 0;
  std::string message;
  /// "ebb.yaml:12:5: message"
  [[nodiscard]] std::string to_text() const;
};

/// Either a configuration and no problems, or at least one problem, sorted by place.
struct Loaded {
  std::optional<Config> config;
  std::vector<Problem> problems;
};

/// Reads a file of at most 1 MiB.
Loaded load_config(const std::string& path);
/// `name` stands for the file in problems.
Loaded load_config_text(const std::string& text, const std::string& name);

/// One problem a line, as `to_text`.
std::string to_text(const std::vector<Problem>& problems);

/// `ebbd check-config`: says what is wrong (exit 2) or what was read (exit 0).
int check_config_command(const std::string& path, std::ostream& out, std::ostream& err);

}  // namespace ebb
