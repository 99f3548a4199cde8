// The shim's only reading of clocks: it is a program of its own and shares none with the daemon.
#pragma once

namespace ebb::shim {

/// Milliseconds since boot, suspended time included: what deadlines are measured on.
long long boot_ms();
/// Milliseconds since 1970, for people and for orders that name a wall time only.
long long wall_ms();

}  // namespace ebb::shim
