// The one place where the stand-ins read a clock.
#pragma once

namespace ebb::emulator {

/// Seconds on a clock that never goes back; its zero means nothing.
double monotonic_seconds();
/// Seconds since 1970, for time stamps shown to others.
double unix_seconds();

}  // namespace ebb::emulator
