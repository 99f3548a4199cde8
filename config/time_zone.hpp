// Time zones out of the system's zone files (TZif, RFC 8536), resolved when a configuration is loaded: what runs later
// holds a table. libstdc++ 12 has no time zones, and Debian 12's libhowardhinnant-date (3.0.1) reads the same files
// but not the rule at their end: it takes New York to have no summer time after 2037. Internal to config/.
#pragma once

#include <string>
#include <string_view>

#include "daemon/model/result.hpp"
#include "daemon/model/time_zone.hpp"

namespace ebb {

inline constexpr const char* kZoneDirectory = "/usr/share/zoneinfo";
/// Rules without an end are written out until then.
inline constexpr int kLastZoneYear = 2'100;

/// "UTC" needs no file. The error goes on after the option's name: "names no time zone, got ...".
Result<TimeZone> load_time_zone(const std::string& name, const std::string& directory = kZoneDirectory);

/// What to write instead of a name that there is not; looks through all names, which takes milliseconds.
std::string zone_hint(const std::string& name, const std::string& directory = kZoneDirectory);

/// The table in one zone file's bytes.
Result<TimeZone> parse_zone_file(std::string_view bytes, const std::string& name);

}  // namespace ebb
