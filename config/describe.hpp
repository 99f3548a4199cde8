// What a configuration says when nothing is left out, and what one may say at all.
#pragma once

#include <string>

#include "config/config.hpp"

namespace ebb {

/// The effective configuration as YAML, defaults included; loading it gives the same configuration. Secrets stand as
/// the references they are.
std::string describe(const Config& config);

/// 16 hex digits over `describe` (FNV-1a, 64 bits): two configurations with the same hash act alike.
std::string config_hash(const Config& config);

/// JSON Schema (2020-12) of the file, for editors.
std::string config_schema();

/// docs/configuration.md.
std::string config_markdown();

}  // namespace ebb
