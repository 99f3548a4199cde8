"""SIGKILL of the daemon at random instants: nothing leaks, no slot is held twice, no recorded action repeats.

    EBB_KILLS=100 EBB_SEED=7 python3 tests/integration/kill_test.py
"""
import collections
import json
import os
import random
import signal
import subprocess
import time
import unittest

from harness import BIN, Pressure, World, wait_for

KILLS = int(os.environ.get("EBB_KILLS", "10"))
SEED = int(os.environ.get("EBB_SEED", str(int(time.time()))))


class Harness(unittest.TestCase):
    def test_what_an_engine_forks_without_a_command_of_its_own_is_no_second_engine(self):
        with World() as world:
            script = "import os, time; os.fork(); print(flush=True); time.sleep(60)"
            args = [f"{BIN}/ebb-engine", "--port", str(world.first_port), "--model", "m"]
            engine = subprocess.Popen(["python3", "-c", script, *args], stdout=subprocess.PIPE,
                                      env={**os.environ, "CUDA_VISIBLE_DEVICES": "3"}, start_new_session=True)
            try:
                for _ in range(2):
                    engine.stdout.readline()
                self.assertEqual(list(world.engines()), [engine.pid])
                self.assertEqual(world.slots_in_use(), ["3"])
            finally:
                os.killpg(engine.pid, signal.SIGKILL)
                engine.wait()
                engine.stdout.close()


class Kill(unittest.TestCase):
    def test_sigkill_at_random_instants(self):
        print(f"EBB_SEED={SEED} EBB_KILLS={KILLS}", flush=True)
        dice = random.Random(SEED)
        with World(tick="300ms", sample="150ms", observe="120ms") as world, Pressure(world) as pressure:
            world.start_daemon()
            for kill in range(KILLS):
                pressure.set(dice.choice([0, 2, 4, 6, 8]))
                # The instant is what the test is about: anywhere from start-up to a few ticks later.
                time.sleep(dice.uniform(0.0, 1.5))
                world.kill_daemon()
                self.check(world, f"after kill {kill}")
                world.start_daemon(wait=dice.random() < 0.7)
            wait_for(lambda: world.get("/readyz", raw=True), 30, "ready after the last kill\n" + world.log())
            pressure.set(0)
            world.wait_ready("chat@local", 1, timeout=40)
            world.wait_ready("rl@local", 3, timeout=40)
            self.check(world, "at the end")
            self.assertEqual(len(world.engines()), len(world.replicas()), "an engine that no replica explains")
            self.assertEqual(pressure.errors, [], "production noticed")
            self.check_ledger(world)

    def check(self, world, when):
        slots = world.slots_in_use()
        twice = [slot for slot, n in collections.Counter(slots).items() if n > 1]
        self.assertEqual(twice, [], f"slots held twice {when}")
        self.assertLessEqual(len(world.engines()), 4, when)

    def check_ledger(self, world):
        self.assertEqual(world.ledger("pragma integrity_check"), [("ok",)])
        started = collections.Counter()
        for (text,) in world.ledger("select action_json from actions where kind = 'start'"):
            for replica in json.loads(text)["replicas"]:
                started[replica] += 1
        self.assertGreater(len(started), 3, "the test moved something")
        self.assertEqual([r for r, n in started.items() if n > 1], [], "a start that was recorded twice")
        unfinished = world.ledger("select count(*) from actions where outcome is null")[0][0]
        self.assertLessEqual(unfinished, 4, "actions of earlier runs were left open")


if __name__ == "__main__":
    unittest.main(verbosity=2)
