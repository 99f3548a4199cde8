// The configuration loader: any bytes end in a configuration or in problems, and what was loaded can be described and
// loaded again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/describe.hpp"
#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ebb::Loaded loaded = ebb::load_config_text(text, "fuzz.yaml");
  if (loaded.config.has_value() == !loaded.problems.empty()) std::abort();
  if (loaded.config) {
    const std::string described = ebb::describe(*loaded.config);
    const ebb::Loaded again = ebb::load_config_text(described, "again.yaml");
    if (!again.config || ebb::describe(*again.config) != described) std::abort();
  }
  return 0;
}
