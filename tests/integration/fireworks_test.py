"""A trainer written for Fireworks drives a self-hosted fleet through the daemon's Fireworks face, and cannot tell.

The client (fireworks_client.py) knows nothing of Ebb; what it loaded is checked at the engines themselves.
"""
import os
import unittest

import snapshot_files
from fireworks_client import ApiError, HotLoadClient, LoadFailed, WeightSyncer
from harness import wait_for
from snapshot_world import SnapshotWorld

SEED = int(os.environ.get("EBB_SEED", "1"))
POLL_S = 0.05  # the public client's 5 s would make a run of five minutes out of one of one


class Trainer:
    """Trains, writes to the bucket, and has a WeightSyncer do the rest."""

    def __init__(self, world, **client):
        self.world = world
        self.client = HotLoadClient(world.url, "acme", "rl", "rl-model", poll_s=POLL_S, **client)
        self.syncer = WeightSyncer(self.client)
        self.tensors = snapshot_files.first_weights(SEED)
        self.step = 0
        self.base = None  # (tensors, step) of the newest snapshot that was loaded
        self.full_steps = []

    def train(self):
        self.step += 1
        self.tensors = snapshot_files.trained(self.tensors, SEED, self.step)

    def write(self, identity, full, damaged=False):
        directory = os.path.join(self.world.store, identity)
        if full:
            snapshot_files.write_full(directory, self.tensors, self.step)
        else:
            snapshot_files.write_increment(directory, self.tensors, self.step, *self.base, damaged=damaged)

    def sync(self, damaged=False, **options):
        """One step of training, loaded. Returns the snapshot's identity."""
        self.train()
        identity = f"fw-step-{self.step:06}"
        full = self.syncer.next_is_full()
        self.write(identity, full, damaged)
        if full:
            self.full_steps.append(self.step)
        self.syncer.sync(identity, full, **options)
        self.base = (self.tensors, self.step)
        return identity

    def digest(self):
        return snapshot_files.digest(self.tensors)


class FireworksFace(unittest.TestCase):
    def setUp(self):
        print(f"EBB_SEED={SEED}", flush=True)

    def check_served(self, world, trainer, identity):
        served = world.weights_served()
        self.assertTrue(served, "no replica serves")
        self.assertEqual(set(served.values()), {(identity, trainer.digest())}, served)

    def test_sixty_steps(self):
        words = ["all", True, None, "none", False]  # as clients of different ages send it
        with SnapshotWorld(load_time="50ms") as world:
            world.start()
            trainer = Trainer(world, source_url="s3://elsewhere/prefix/")
            for step in range(60):
                identity = trainer.sync(reset_prompt_cache=words[step % len(words)])
                self.check_served(world, trainer, identity)
            self.assertEqual(trainer.full_steps, [1, 26, 51])
            self.assertEqual(trainer.client.signals, 60, "one signal a snapshot was enough")
            rows = trainer.client.ledger()
            self.assertEqual([row["identity"] for row in rows], [f"fw-step-{step:06}" for step in range(60, 0, -1)])
            self.assertEqual([row["type"] for row in reversed(rows)],
                             ["full" if step in (1, 26, 51) else "delta" for step in range(1, 61)])
            self.assertEqual({row["state"] for row in rows}, {"serving"})
            self.assertTrue(all(row["replica_transitions"] for row in rows[:10]))

    def test_a_damaged_delta_is_an_error_of_its_own_and_a_full_one_mends_it(self):
        with SnapshotWorld() as world:
            world.start()
            trainer = Trainer(world)
            trainer.sync()
            before = trainer.sync()
            good = trainer.digest()
            with self.assertRaises(LoadFailed):
                trainer.sync(damaged=True)
            # What served goes on serving: the damage was found before any engine paused.
            wait_for(lambda: set(world.weights_served().values()) == {(before, good)}, 10, "the old weights serve")
            identity = trainer.sync()
            self.assertEqual(trainer.full_steps, [1, 4])
            self.check_served(world, trainer, identity)
            states = {row["identity"]: row for row in trainer.client.ledger()}
            self.assertEqual(states["fw-step-000003"]["state"], "failed")
            self.assertTrue(states["fw-step-000003"]["error"])

    def refused(self, client, status, word, **body):
        with self.assertRaises(ApiError) as raised:
            client.signal_body(body)
        self.assertEqual(raised.exception.status, status, raised.exception)
        self.assertIn(word, raised.exception.message)

    def refused_by_size(self, client):
        body = b'{"identity": "' + b"x" * 10_000_000 + b'"}'
        try:
            status, _ = client.call("POST", "/hot_load/v1/models/hot_load", body)
            self.assertEqual(status, 413)
        except OSError:
            pass  # the daemon had hung up before all of it was sent, which says the same

    def test_what_does_not_fit_is_refused_and_changes_nothing(self):
        with SnapshotWorld() as world:
            world.start()
            trainer = Trainer(world)
            client = trainer.client
            trainer.sync()
            identity = trainer.sync()

            def delta(previous, **more):
                return {"previous_snapshot_identity": previous, "compression_format": "arc_v2",
                        "checksum_format": "alder32", **more}

            self.refused(client, 400, "Extra inputs are not permitted, field: 'stray'", identity="x", stray=1)
            self.refused(client, 400, "Extra inputs are not permitted", identity="x",
                         incremental_snapshot_metadata=delta(identity, stray=True))
            self.refused(client, 400, "Field required", reset_prompt_cache="all")
            self.refused(client, 400, "slash", identity="a/b")
            self.refused(client, 400, "reset_prompt_cache", identity="x", reset_prompt_cache="sometimes")
            self.refused(client, 409, "fork", identity="x", incremental_snapshot_metadata=delta("fw-step-000001"))
            self.refused(client, 409, "not in the chain", identity="x", incremental_snapshot_metadata=delta("nobody"))
            # The same words again are no second snapshot; the same identity with others is none either.
            client.signal_body({"identity": "fw-step-000001", "reset_prompt_cache": "all"})
            self.refused(client, 409, "other contents", identity="fw-step-000001", reset_prompt_cache="none")
            self.refused_by_size(client)
            stranger = HotLoadClient(world.url, "acme", "nobody", "rl-model", poll_s=POLL_S)
            self.refused(stranger, 404, "nobody", identity="x")
            status, detail = world.refusal("POST", "/v1/jobs/rl/snapshots",
                                           {"identity": "y", "kind": "full", "run": "", "step": 0})
            self.assertEqual((status, "rewind" in detail), (409, True), detail)
            self.assertEqual(len(client.ledger()), 2)
            self.check_served(world, trainer, identity)

    def test_after_a_reset_of_the_ledger_the_first_must_be_full(self):
        with SnapshotWorld() as world:
            world.start()
            trainer = Trainer(world)
            trainer.sync()
            trainer.sync()
            trainer.client.reset_ledger()
            with self.assertRaises(ApiError) as raised:
                trainer.sync()
            self.assertEqual(raised.exception.status, 409)
            self.assertIn("must be full", raised.exception.message)
            identity = trainer.sync()
            self.assertEqual(trainer.full_steps, [1, 4])
            self.check_served(world, trainer, identity)

    def test_a_trainer_is_known_by_bearer_or_by_api_key(self):
        with SnapshotWorld() as world:
            with open(os.path.join(world.dir, "token"), "w") as file:
                file.write("publish-secret\n")
            tokens = f', tokens: [{{name: trainer, secret: "file:{world.dir}/token", scopes: ["publish:rl", "read"]}}]'
            world.snapshots["tokens"] = tokens
            world.token = "publish-secret"
            world.write_config()
            world.start()
            trainer = Trainer(world, api_key="publish-secret")
            identity = trainer.sync()
            for header in ("Authorization", "X-Api-Key"):
                del trainer.client.headers[header]
                trainer.sync()
                trainer.client.headers.update({"Authorization": "Bearer publish-secret", "X-Api-Key": "publish-secret"})
            wrong = HotLoadClient(world.url, "acme", "rl", "rl-model", api_key="guessed", poll_s=POLL_S)
            with self.assertRaises(ApiError) as raised:
                wrong.signal("x")
            self.assertEqual(raised.exception.status, 401)
            self.assertNotEqual(identity, trainer.syncer.base)

    def test_a_job_without_replicas_shows_one_that_is_parked(self):
        # Production takes everything, so nothing is lent.
        with SnapshotWorld(gpus=1) as world:
            world.start(replicas=0)
            trainer = Trainer(world)
            trainer.train()
            trainer.write("parked-1", full=True)
            trainer.client.signal("parked-1")
            trainer.client.wait_loaded("parked-1")
            self.assertEqual(len(trainer.client.replicas()), 1)
            self.assertEqual(world.ready("rl@local"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
