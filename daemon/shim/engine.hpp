// The engine's process: forked, held at a gate until its identity is on disk, then released into exec.
#pragma once

#include <vector>

#include "daemon/shim/files.hpp"
#include "daemon/shim/options.hpp"
#include "daemon/shim/record.hpp"

namespace ebb::shim {

/// A child that has not executed anything yet. Destroyed without `release`, it ends with status 125.
struct HeldEngine {
  EngineId id;
  Fd gate;
};

/// Forks. The child leads a process group of its own, dies with the shim (PDEATHSIG), writes to `log`, and inherits
/// `locks`, so that a slot stays taken while any process of the replica lives, whatever became of the shim.
Result<HeldEngine> fork_engine(const Options& options, int log, const std::vector<Fd>& locks);

/// Opens the gate: the command is executed. False when the child is gone.
bool release(HeldEngine& engine);

/// SIGKILLs and reaps whatever children are left, their orphans included, as they become ours. Not before all have
/// gone does it return: a process that cannot die keeps the locks held.
void take_down_everything();

}  // namespace ebb::shim
