// Any bytes as the answer of a Prometheus: no crash, and never a number that is none.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "adapters/exposition/utf8.hpp"
#include "adapters/prometheus/answer.hpp"

using namespace ebb;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const TimePoint now(Duration(1'767'225'600'000));
  for (const int status : {200, 404, 503}) {
    const Result<prometheus::Instant> instant = prometheus::instant_from(status, body);
    if (!instant.ok() && !exposition::valid_utf8(instant.error().what)) std::abort();
    if (instant.ok() && status != 200) std::abort();
    for (const bool accept : {false, true}) {
      const Reading<double> reading = prometheus::reading_of(instant, accept, now);
      if (!reading.known()) continue;
      if (!std::isfinite(reading.value()) || reading.value() < 0 || reading.sample()->taken_at > now) std::abort();
    }
  }
  return 0;
}
