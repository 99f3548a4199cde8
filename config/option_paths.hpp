// Where options belong, for people who indented a line wrongly. Internal to config/.
#pragma once

#include <string>

namespace ebb {

/// "; it belongs into pools[]" for the name of an option that exists in other mappings; nothing for other words.
std::string belongs_elsewhere(const std::string& name);

}  // namespace ebb
