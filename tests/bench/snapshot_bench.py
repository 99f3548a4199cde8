#!/usr/bin/env python3
"""A run of sixty snapshots as a whole: what it takes beyond the loads themselves.

    EBB_BIN_DIR=build/release/bin python3 tests/bench/snapshot_bench.py

A stand-in trainer, the daemon, ebb-pull and three engines whose loads take 1 s each. Nothing fails here: figures go to
docs/benchmarks.md with machine and date.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from snapshot_world import SnapshotWorld  # noqa: E402

STEPS = 60
LOAD_S = 1.0


def say(what, value, unit, target):
    print(f"{what:<46} {value:>9.1f} {unit:<4} target {target}", flush=True)


def sixty_steps():
    """From each publication to the answer that it serves, summed up, against sixty loads of a second."""
    with SnapshotWorld(load_time=f"{LOAD_S}s", tick="5s", sample="1s", observe="800ms") as world:
        world.start()
        trainer = world.trainer("--steps", str(STEPS), "--no-check")
        if trainer.wait(300) != 0:
            raise SystemExit("the run did not go as expected\n" + world.log())
        steps = world.trainer_report()["steps"]
        took = [step["serving_s"] for step in steps]
        over = sum(took) - STEPS * LOAD_S
        say(f"{STEPS} loads of {LOAD_S:.0f} s: all beside the loads", 100 * over / (STEPS * LOAD_S), "%", "<= 5")
        beside = sorted(t - LOAD_S for t in took)
        say("... of one snapshot, median", 1000 * beside[STEPS // 2], "ms", "none")
        say("... of one snapshot, worst", 1000 * beside[-1], "ms", "none")


if __name__ == "__main__":
    sixty_steps()
