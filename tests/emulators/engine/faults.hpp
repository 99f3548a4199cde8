// Ways in which a stand-in engine can misbehave on request, at start (--fault) or later (POST /_fault, loopback only).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

enum class Fault {
  hang_metrics,      ///< /metrics never answers
  nan,               ///< every gauge on the page is NaN
  truncate_metrics,  ///< the page breaks off before its announced length
  cut_metrics,       ///< the page is short but its announced length agrees
  freeze_gauges,     ///< the page stays as it is now, as with an engine whose loop died
  hang,              ///< no step is ever finished; HTTP goes on
  die_after,         ///< the process ends with status 1 after so long (default 5s)
  refuse,            ///< the listener is closed for so long (default 5s)
  ignore_sigterm,
  slow_health,  ///< /health takes so long (default 5s)
  fail_start,   ///< the process ends with status 1 instead of becoming ready
};

struct FaultSpec {
  Fault fault = Fault::nan;
  double seconds = 5;  ///< for those that take a time
};

/// Reads "nan", "die-after=2s", "refuse=500ms". Errors are `invalid` and list the names.
Result<FaultSpec> fault_from(std::string_view text);

/// The faults that are on, with their times.
using Faults = std::map<Fault, double>;

}  // namespace ebb::emulator
