// Rules between options. Internal to the loader.
#pragma once

#include "config/config.hpp"
#include "config/yaml_reader.hpp"

namespace ebb {

/// Adds a problem for every rule that is broken; each states the rule and the value.
void validate(const Config& config, Report& report);

}  // namespace ebb
