// What made-up engines say of their weights, in the words of the real ones.
#pragma once

#include "daemon/model/weights.hpp"

namespace ebb::test {

/// Of the load under way, or else of the one that failed. `applying` ends with the newest.
template <class Loads>
void say_loads(WeightsReport& report, const Loads& applying, const Identity& failed) {
  if (!applying.empty()) {
    report.stage = LoadStage::loading;
    report.target = applying.back().identity();
  } else if (!failed.empty()) {
    report.stage = LoadStage::error;
    report.target = failed;
    report.error = "bad weights";
  }
}

}  // namespace ebb::test
