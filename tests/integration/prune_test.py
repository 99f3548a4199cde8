#!/usr/bin/env python3
"""The daemon with a store in a directory: what is published is looked at before it is signalled, and what no chain
needs any more leaves the store."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import snapshot_files
import snapshot_world
from harness import wait_for


class PruningWorld(snapshot_world.SnapshotWorld):
    def write_config(self, extra=""):
        super().write_config(extra)
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace("      enabled: true\n", "      enabled: true\n      prune_after: 1s\n"))


class Store(unittest.TestCase):
    def setUp(self):
        self.world = PruningWorld()
        self.addCleanup(self.world.stop_everything)
        self.world.start()

    def publish(self, step, kind="full", parent=None):
        body = {"identity": f"run-{step}", "kind": kind, "run": "run", "step": step}
        return self.world.publish(body if parent is None else {**body, "previous_identity": f"run-{parent}"})

    def there(self):
        return sorted(name for name in os.listdir(self.world.store))

    def test_a_snapshot_is_waited_for_and_what_is_unneeded_is_deleted(self):
        world, weights = self.world, snapshot_files.first_weights(7)
        os.mkdir(os.path.join(world.store, "somebody-elses"))
        self.publish(1)
        waiting = wait_for(lambda: (lambda s: s if s["reason"] else None)(world.get("/v1/jobs/rl/snapshots/run-1")), 20,
                           "a reason why run-1 is not loaded\n" + world.log())
        self.assertIn("run-1", waiting["reason"])
        self.assertEqual(waiting["phase"], "published")
        snapshot_files.write_full(os.path.join(world.store, "run-1"), weights, 1)
        first = world.ended("run-1")
        self.assertEqual(first["phase"], "serving", world.log())
        files = os.scandir(os.path.join(world.store, "run-1"))
        self.assertEqual(first["bytes"], sum(file.stat().st_size for file in files))

        after = snapshot_files.trained(weights, 7, 2)
        snapshot_files.write_increment(os.path.join(world.store, "run-2"), after, 2, weights, 1)
        self.publish(2, "incremental", 1)
        self.assertEqual(world.ended("run-2")["phase"], "serving", world.log())
        self.assertEqual(self.there(), ["run-1", "run-2", "somebody-elses"])

        snapshot_files.write_full(os.path.join(world.store, "run-3"), snapshot_files.trained(after, 7, 3), 3)
        self.publish(3)
        self.assertEqual(world.ended("run-3")["phase"], "serving", world.log())
        wait_for(lambda: self.there() == ["run-3", "somebody-elses"], 30, "run-1 and run-2 leave the store\n" + world.log())


if __name__ == "__main__":
    unittest.main()
