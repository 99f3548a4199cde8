// From YAML to Config, or to the list of everything that is wrong with it.
#pragma once

#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace ebb {

/// Where something stands in a file, counted from 1; 0 where it is the file itself.
struct Place {
  int line = 0;
  int column = 0;
};

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
  /// Where the options that a running daemon cannot change stand: "state_dir", "api.listen", "fleets.<name>.pool", ...
  /// Absent where the file does not mention them.
  std::map<std::string, Place> places;
};

/// Reads a file of at most 1 MiB. Blocks for as long as the file system does; any thread.
Loaded load_config(const std::string& path);
/// `name` stands for the file in problems.
Loaded load_config_text(const std::string& text, const std::string& name);

/// One problem a line.
std::string to_text(const std::vector<Problem>& problems);

/// `ebbd check-config FILE`: one line to `out` and 0, or every problem to `err` and 2.
int check_config_command(const std::string& path, std::ostream& out, std::ostream& err);

}  // namespace ebb
