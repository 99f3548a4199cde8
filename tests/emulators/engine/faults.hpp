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
  // of the weight endpoints
  no_dev_mode,           ///< they are not there: 404
  pause_fails,           ///< 500, and the engine goes on
  resume_fails,          ///< 500, and it stands still
  update_fails,          ///< an error after the time of a load; the old weights stay
  update_hangs,          ///< no answer for as long as it is on
  update_lies,           ///< success, and nothing has changed
  update_wrong_version,  ///< loaded, under another version than was told
  slow_update,           ///< takes so much longer (default 5s)
  crash_on_update,       ///< the process ends with status 1 in the middle of it
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
