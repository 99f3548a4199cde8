#include "tests/emulators/common/log.hpp"

#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "daemon/model/time.hpp"
#include "tests/emulators/common/clock.hpp"

namespace ebb::emulator {

void log_line(std::string_view program, std::string_view line) {
  const TimePoint at{Duration{static_cast<Duration::rep>(unix_seconds() * 1000)}};
  fmt::print(stderr, "{} {}: {}\n", to_iso(at), program, line);
  std::fflush(stderr);
}

}  // namespace ebb::emulator
