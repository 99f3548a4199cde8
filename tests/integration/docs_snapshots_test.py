"""The examples of docs/snapshots.md run: every fenced block under a comment `runs: NAME`, in the order of the page.

Nothing of a block is changed but what each reader has to change: the daemon's address and the store's directory.
"""
import os
import re
import shutil
import subprocess
import sys
import unittest

from harness import wait_for
from snapshot_world import SnapshotWorld

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "snapshots.md")
BLOCK = re.compile(r"<!-- runs: ([a-z0-9-]+) -->\n```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# What the page calls yours: the trainer's own module. It keeps what it wrote, for an increment needs its base.
TRAINER = '''\
import os, pickle, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {here!r})
import snapshot_files

STORE, MEMORY = {store!r}, {memory!r}


def write_snapshot(plan):
    tensors, step, written = pickle.load(open(MEMORY, "rb")) if os.path.exists(MEMORY) else (
        snapshot_files.first_weights(1), 1, {{"run7-step-000001": (snapshot_files.first_weights(1), 1)}})
    step += 1
    tensors = snapshot_files.trained(tensors, 1, step)
    directory = os.path.join(STORE, plan["identity"])
    assert plan.get("upload_url", "file://" + directory) == "file://" + directory, plan
    if plan["kind"] == "full":
        snapshot_files.write_full(directory, tensors, step)
    else:
        snapshot_files.write_increment(directory, tensors, step, *written[plan["previous_identity"]])
    written[plan["identity"]] = (tensors, step)
    pickle.dump((tensors, step, written), open(MEMORY, "wb"))
'''


def examples():
    with open(PAGE) as file:
        return [(name, language, text) for name, language, text in BLOCK.findall(file.read())]


class Examples(unittest.TestCase):
    def test_every_marked_block_is_found(self):
        with open(PAGE) as file:
            marked = re.findall(r"<!-- runs: (\S+) -->", file.read())
        self.assertEqual([name for name, _, _ in examples()], marked, "a mark without a block of sh or python under it")
        self.assertEqual(marked, ["curl", "python", "fireworks"])

    def test_they_run(self):
        with SnapshotWorld() as world:
            world.start()
            home = os.path.join(world.dir, "example")
            os.makedirs(home)
            self.prepare(world, home)
            for name, language, text in examples():
                with self.subTest(name):
                    self.run_block(world, home, language, text)
            phases = [(row["identity"], row["kind"], row["phase"])
                      for row in reversed(world.get("/v1/jobs/rl/snapshots")["snapshots"])]
            self.assertEqual(phases, [("run7-step-000001", "full", "serving"),
                                      ("run7-step-000002", "incremental", "serving"),
                                      ("run7-step-000003", "incremental", "serving"),
                                      ("policy-1", "full", "serving"),
                                      ("policy-2", "incremental", "serving")])
            wait_for(lambda: {identity for identity, _ in world.weights_served().values()} == {"policy-2"}, 10,
                     "the engines serve the last of them")

    def prepare(self, world, home):
        sys.path.insert(0, HERE)
        import snapshot_files
        snapshot_files.write_full(os.path.join(home, "checkpoint"), snapshot_files.first_weights(1), 1)
        with open(os.path.join(home, "trainer.py"), "w") as file:
            file.write(TRAINER.format(here=HERE, store=world.store, memory=os.path.join(home, "memory")))

    def run_block(self, world, home, language, text):
        self.assertIn("localhost:8470", text)
        text = text.replace("localhost:8470", f"127.0.0.1:{world.api_port}").replace("/var/lib/weights", world.store)
        command = [shutil.which("bash"), "-euo", "pipefail", "-c", text] if language == "sh" else \
            [sys.executable, "-B", "-c", text]
        done = subprocess.run(command, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + world.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
