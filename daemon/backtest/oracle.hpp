// What a scheduler that knows the future could harvest with the same delays.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/model/time.hpp"
#include "daemon/model/units.hpp"

namespace ebb::backtest {

struct OracleInput {
  Duration tick{5'000};
  std::vector<int> free;   ///< GPUs production does not want, per tick
  std::vector<bool> gap;   ///< ticks that do not count, as if they had not been
  std::size_t first = 0;   ///< ticks before it teach and do not count
  Gpus each{1};            ///< GPUs of one RL replica
  Duration start{90'000};  ///< start-up of an RL replica
  Duration give_back{0};   ///< the fastest enabled reclaim, plus production's start-up where Ebb scales it
};

struct Oracle {
  double gpu_hours = 0;
  std::int64_t intervals = 0;  ///< worth starting in; each costs two scale actions
  std::vector<int> serving;    ///< GPUs of its serving replicas, per tick; 0 where nothing counts
};

/// For every level k every maximal interval of length L in which k replicas fit yields
/// each x max(0, L - start - give_back). An interval that the trace's end cuts off gives nothing back; one that was
/// open before `first` starts nothing.
Oracle oracle_of(const OracleInput& input);

}  // namespace ebb::backtest
