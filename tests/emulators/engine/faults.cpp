#include "tests/emulators/engine/faults.hpp"

#include <array>
#include <utility>

#include "daemon/model/time.hpp"

namespace ebb::emulator {

namespace {

constexpr std::array<std::pair<std::string_view, Fault>, 20> kNames{{
    {"hang-metrics", Fault::hang_metrics},
    {"nan", Fault::nan},
    {"truncate-metrics", Fault::truncate_metrics},
    {"cut-metrics", Fault::cut_metrics},
    {"freeze-gauges", Fault::freeze_gauges},
    {"hang", Fault::hang},
    {"die-after", Fault::die_after},
    {"refuse", Fault::refuse},
    {"ignore-sigterm", Fault::ignore_sigterm},
    {"slow-health", Fault::slow_health},
    {"fail-start", Fault::fail_start},
    {"no-dev-mode", Fault::no_dev_mode},
    {"pause-fails", Fault::pause_fails},
    {"resume-fails", Fault::resume_fails},
    {"update-fails", Fault::update_fails},
    {"update-hangs", Fault::update_hangs},
    {"update-lies", Fault::update_lies},
    {"update-wrong-version", Fault::update_wrong_version},
    {"slow-update", Fault::slow_update},
    {"crash-on-update", Fault::crash_on_update},
}};

}  // namespace

Result<FaultSpec> fault_from(std::string_view text) {
  const std::size_t equals = text.find('=');
  FaultSpec spec;
  if (equals != std::string_view::npos) {
    const auto span = duration_from(text.substr(equals + 1));
    if (!span) return Error{ErrorCode::invalid, "a fault's time looks like 500ms or 2s", false};
    spec.seconds = static_cast<double>(span->count()) / 1000;
  }
  std::string known;
  for (const auto& [name, fault] : kNames) {
    if (name == text.substr(0, equals)) {
      spec.fault = fault;
      return spec;
    }
    known += known.empty() ? "" : ", ";
    known += name;
  }
  return Error{ErrorCode::invalid, "unknown fault '" + std::string(text) + "'; known: " + known, false};
}

}  // namespace ebb::emulator
