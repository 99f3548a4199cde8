#include "daemon/shim/clock.hpp"

#include <ctime>

namespace ebb::shim {
namespace {

long long read_ms(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<long long>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

long long boot_ms() { return read_ms(CLOCK_BOOTTIME); }
long long wall_ms() { return read_ms(CLOCK_REALTIME); }

}  // namespace ebb::shim
