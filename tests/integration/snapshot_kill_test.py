"""SIGKILL of the daemon while it loads snapshots: none is loaded twice, none is lost, no engine is left paused, and the
chain goes on.

    EBB_KILLS=100 EBB_SEED=7 python3 tests/integration/snapshot_kill_test.py
"""
import collections
import json
import os
import random
import re
import signal
import time
import unittest

from harness import wait_for
from snapshot_world import SnapshotWorld

KILLS = int(os.environ.get("EBB_KILLS", "10"))
SEED = int(os.environ.get("EBB_SEED", str(int(time.time()))))
LOAD_S = 0.3
UPDATES = {"vllm": "POST /update_weights ", "sglang": "POST /update_weights_from_disk "}


class SnapshotKill(unittest.TestCase):
    def test_sigkill_during_loads_vllm(self):
        self.run_with("vllm", KILLS - KILLS // 2)

    def test_sigkill_during_loads_sglang(self):
        self.run_with("sglang", KILLS // 2)

    def run_with(self, dialect, kills):
        print(f"EBB_SEED={SEED} EBB_KILLS={KILLS} ({kills} with {dialect})", flush=True)
        dice = random.Random(f"{SEED}/{dialect}")
        options = dict(dialect=dialect, load_time=f"{LOAD_S * 1000:.0f}ms", settle="2s")
        with SnapshotWorld(**options) as world:
            world.start()
            engines = {r["id"]: r["address"] for r in world.replicas("rl@local", "ready")}
            trainer = world.trainer("--steps", "100000", "--seed", str(SEED % 1000), "--patience", "60s")
            hit = set()
            for kill in range(kills):
                hit.add(self.kill_during_a_load(world, dice))
                world.start_daemon()
                self.assertIsNone(trainer.poll(), f"the trainer gave up after kill {kill}: " +
                                  world.trainer_report().get("problem", "") + "\n" + world.log())
            steps = len(world.trainer_report()["steps"])
            wait_for(lambda: len(world.trainer_report()["steps"]) >= steps + 3, 60,
                     "three more steps after the last kill\n" + world.log())
            trainer.send_signal(signal.SIGTERM)
            trainer.wait(60)
            self.assertEqual(set(engines), {r["id"] for r in world.replicas("rl@local", "ready")}, "no engine was lost")
            self.check_chain(world, hit)
            self.check_engines(world, dialect, engines)

    def kill_during_a_load(self, world, dice):
        """Waits until a snapshot is under way that was not when it began to wait. Returns its identity."""
        before = world.get("/v1/jobs/rl/snapshots?limit=1")["snapshots"]
        known = before[0]["identity"] if before else None

        def under_way():
            rows = world.get("/v1/jobs/rl/snapshots?limit=1")["snapshots"]
            new = rows and rows[0]["identity"] != known and not rows[0]["ended"]
            return rows[0]["identity"] if new else None
        identity = wait_for(under_way, 60, "a snapshot is published\n" + world.log())
        # The instant is what the test is about: from the publication to a little after the engines have loaded.
        time.sleep(dice.uniform(0.0, 1.5 * LOAD_S))
        world.kill_daemon()
        return identity

    def check_chain(self, world, hit):
        steps = world.trainer_report()["steps"]
        self.assertEqual([s for s in steps if not s["as_expected"]], [], "a snapshot was lost, or served wrong weights")
        self.assertTrue(hit <= {s["identity"] for s in steps}, "the loads that were hit ended")
        # No load failed, so the cadence alone says which are full.
        self.assertEqual([s["step"] for s in steps if s["kind"] == "full"], list(range(1, len(steps) + 1, 25)))
        self.assertEqual(world.ledger("pragma integrity_check"), [("ok",)])

    def check_engines(self, world, dialect, engines):
        told = 0
        for name, address in engines.items():
            calls = world.ask_engine(address, "/_calls")["calls"]
            complete, again = self.loads_of(dialect, calls)
            self.assertTrue(complete)
            told += sum(call.startswith(UPDATES[dialect]) for call in calls) - len(complete)
            self.assertEqual(again, [], f"{name} was told to load what it had been told before\n" + world.log())
            if dialect == "vllm":
                self.assertFalse(world.ask_engine(address, "/is_paused")["is_paused"], f"{name} was left paused")
        print(f"{told} loads of {dialect} were cut off by a kill and began anew", flush=True)
        # Of either dialect: a paused engine answers nothing.
        self.assertEqual(len(world.weights_served()), len(engines))

    @staticmethod
    def loads_of(dialect, calls):
        """(identities whose load is complete, those that were told to load again).

        SGLang's one call loads and names the weights. vLLM's load is two calls, the second names them: a daemon that
        died between the two must begin anew, and must not once the second was made.
        """
        complete, again, told = [], [], []
        for call in calls:
            named = re.search(r'/([\w-]*step-[\w-]+)"', call)
            if call.startswith(UPDATES[dialect]):
                again += [named[1]] if named[1] in (told if dialect == "sglang" else complete) else []
                told.append(named[1])
                complete += [named[1]] if dialect == "sglang" else []
            elif call.startswith("POST /finish_weight_update ") and dialect == "vllm":
                complete.append(json.loads(call.split(" ", 2)[2])["weight_version"])
        again += [identity for identity, n in collections.Counter(complete).items() if n > 1]
        return complete, again


if __name__ == "__main__":
    unittest.main(verbosity=2)
