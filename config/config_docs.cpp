// Writes what is generated from the option declarations: ebb-config-docs SOURCE_DIR
#include <fstream>
#include <iostream>
#include <string>

#include "config/describe.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: ebb-config-docs SOURCE_DIR\n";
    return 2;
  }
  const std::string root = argv[1];
  std::ofstream manual(root + "/docs/configuration.md");
  manual << ebb::config_markdown();
  std::ofstream schema(root + "/config/ebb.schema.json");
  schema << ebb::config_schema();
  return manual.good() && schema.good() ? 0 : 1;
}
