// Every option of the configuration, declared once: name, range, help; unit and default come with the member.
#pragma once

#include "config/config.hpp"
#include "daemon/model/options.hpp"

namespace ebb {

/// Shows every option of `config` to the visitor, in reading order.
void options(Config& config, OptionVisitor& visitor);

/// Names the loader gives when a policy is not mentioned.
inline constexpr const char* kDefaultCapacity = "target_tracking";
inline constexpr const char* kDefaultGrowth = "always";
inline constexpr const char* kDefaultAllocation = "max_min";
inline constexpr const char* kDefaultVictim = "newest";
inline constexpr const char* kDefaultCadence = "every";

}  // namespace ebb
