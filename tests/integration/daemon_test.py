"""The daemon end to end: real ebbd, real shims, stand-in engines, real requests."""
import json
import os
import signal
import subprocess
import unittest
import urllib.request

from harness import BIN, Pressure, World, stat_of, wait_for


class Scaling(unittest.TestCase):
    def test_rl_leaves_when_production_rises_and_returns_when_it_falls(self):
        with World() as world, Pressure(world) as pressure:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            world.wait_ready("chat@local", 1)
            pressure.set(6)
            world.wait_ready("chat@local", 3)
            self.assertLessEqual(world.ready("rl@local"), 1)
            pressure.set(0)
            world.wait_ready("rl@local", 3, timeout=40)
            self.assertEqual(pressure.errors, [])
            slots = world.slots_in_use()
            self.assertEqual(len(slots), len(set(slots)), "a slot was handed out twice")

    def test_the_replica_with_the_fewest_rollouts_leaves(self):
        with World(gpus=3, victim="least_lost", rl_sources="[{kind: scrape, dialect: vllm}]") as world:
            world.start_daemon()
            world.wait_ready("rl@local", 2)
            busy = max(r["id"] for r in world.replicas("rl@local"))  # whom `newest` would take: both began together
            with Pressure(world, name="rl", only=busy) as rollouts, Pressure(world) as pressure:
                rollouts.set(3)
                wait_for(lambda: world.running(busy) == 3, 10, "three rollouts")
                asked = world.tick() + 3
                wait_for(lambda: world.tick() > asked, 10, "ticks that asked since")
                pressure.set(4)
                world.wait_ready("rl@local", 1)
                self.assertEqual([r["id"] for r in world.replicas("rl@local", "ready")], [busy])
                said = [s["text"] for d in world.get("/v1/decisions?limit=500")["decisions"] for s in d["why"]]
                self.assertTrue(any("leaves (serving" in text and "0 rollouts in flight" in text for text in said), said)
                self.assertEqual(rollouts.errors, [])

    def test_every_tick_is_explained_in_sentences(self):
        with World() as world, Pressure(world) as pressure:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            pressure.set(4)
            wait_for(lambda: world.ready("rl@local") <= 2, 20, "a reclaim")
            page = world.get("/v1/decisions?limit=500")["decisions"]
            ticks = [d["tick"] for d in page]
            self.assertEqual(ticks, list(range(ticks[0], ticks[0] - len(ticks), -1)), "no tick is missing")
            for tick in ticks:
                shown = subprocess.run([f"{BIN}/ebbctl", "--url", f"http://127.0.0.1:{world.api_port}", "explain",
                                        "--tick", str(tick)], capture_output=True, text=True, timeout=20)
                self.assertEqual(shown.returncode, 0, shown.stderr)
                self.assertIn("chat@local", shown.stdout)
            reclaim = next(d for d in page if any(a["kind"] == "drain" for a in d["plan"]))
            self.assertTrue(any("production needs the GPUs" in s["text"] for s in reclaim["why"]), reclaim["why"])

    def test_advise_writes_nothing(self):
        with World(mode="advise") as world:
            world.start_daemon()
            wait_for(lambda: any(d["plan"] for d in world.get("/v1/decisions?limit=50")["decisions"]), 10, "a plan")
            self.assertEqual(world.engines(), {})
            outcomes = wait_for(lambda: world.ledger("select distinct outcome from actions where outcome is not null"), 10,
                                "outcomes")
            self.assertEqual(outcomes, [("advised",)])


class Bad(unittest.TestCase):
    def fault(self, world, fault):
        for replica in world.replicas("chat@local", "ready"):
            request = urllib.request.Request(f"{replica['address']}/_fault", data=fault.encode(), method="POST")
            urllib.request.urlopen(request, timeout=5).read()

    def no_growth_under(self, fault):
        with World(target=1) as world, Pressure(world) as pressure:
            world.start_daemon()
            pressure.set(2)
            world.wait_ready("chat@local", 2)
            world.wait_ready("rl@local", 2)
            self.fault(world, fault)
            wait_for(lambda: not world.get("/v1/services")["services"][0]["deployments"][0]["known"], 15, f"blind by {fault}")
            pressure.set(0)
            before = world.get("/v1/status")["tick"]
            wait_for(lambda: world.get("/v1/status")["tick"] > before + 6, 15, "six more ticks")
            self.assertLessEqual(world.ready("rl@local"), 2, "RL grew while production was unknown")
            self.assertEqual(world.ready("chat@local"), 2, "production shrank while it was unknown")

    def test_nan_is_unknown(self):
        self.no_growth_under("nan")

    def test_truncated_metrics_are_unknown(self):
        self.no_growth_under("truncate-metrics")

    def test_hanging_metrics_are_unknown(self):
        self.no_growth_under("hang-metrics")

    def test_a_crashed_replica_is_replaced(self):
        with World() as world:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            victim = next(pid for pid, cmd in world.engines().items() if "rl-model" in cmd)
            os.kill(victim, signal.SIGKILL)
            failed = wait_for(lambda: [s for d in world.get("/v1/decisions?limit=200")["decisions"] for s in d["why"]
                                       if s["rule"] == "leases.failed"], 20, "the failure is noticed")
            self.assertIn("signal 9", failed[0]["text"])
            world.wait_ready("rl@local", 3)

    def test_an_engine_that_ignores_sigterm_is_killed_in_time(self):
        with World(engine_args=["--fault", "ignore-sigterm"], rl_drain="1s") as world, Pressure(world) as pressure:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            pressure.set(8)
            wait_for(lambda: world.ready("chat@local") == 4, 30, "production has every GPU")
            slots = world.slots_in_use()
            self.assertEqual(len(slots), len(set(slots)))

    def test_a_full_disk_lets_only_shrinking_out(self):
        with World() as world, Pressure(world) as pressure:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            # No file may grow any more: what a full disk does to the ledger, without needing one.
            subprocess.run(["prlimit", "--pid", str(world.daemon.pid), "--fsize=1:unlimited"], check=True)
            wait_for(lambda: not world.get("/v1/status")["ledger"]["ok"], 15, "the ledger is down")
            pressure.set(8)
            wait_for(lambda: world.ready("rl@local") == 0, 20, "the reclaim goes out all the same")
            pressure.set(0)
            before = world.get("/v1/status")["at"]
            wait_for(lambda: world.get("/v1/status")["at"] > before, 10, "it goes on")
            self.assertEqual(world.ready("rl@local"), 0, "grew without a record")
            subprocess.run(["prlimit", "--pid", str(world.daemon.pid), "--fsize=unlimited:unlimited"], check=True)
            wait_for(lambda: world.get("/v1/status")["ledger"]["ok"], 15, "the ledger is back")
            world.wait_ready("rl@local", 3, timeout=40)

    def test_a_bad_config_is_refused_at_the_door(self):
        with World() as world:
            world.write_config("\nno_such_key: 1\n")
            done = subprocess.run([f"{BIN}/ebbd", "run", "--config", world.config], capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, r"ebb\.yaml:\d+:\d+: .*no_such_key")


class LifeCycle(unittest.TestCase):
    def test_replicas_survive_a_restart_and_are_adopted(self):
        with World() as world:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            before = world.engines()
            self.assertEqual(world.kill_daemon(signal.SIGTERM), 0, world.log())
            self.assertEqual(world.engines(), before, "SIGTERM leaves replicas running")
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            self.assertEqual(world.engines(), before, "the same processes, adopted")

    def test_replicas_are_outside_the_daemons_session(self):
        with World() as world:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            daemon = stat_of(world.daemon.pid)
            for pid in list(world.shims()) + list(world.engines()):
                stat = stat_of(pid)
                self.assertNotEqual(stat[1], daemon[1], "process group")
                self.assertNotEqual(stat[2], daemon[2], "session")

    def test_a_daemon_that_never_comes_back_gives_the_gpus_back(self):
        with World(ttl="2s", rl_drain="2s") as world:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            world.wait_ready("chat@local", 1)
            world.kill_daemon()
            wait_for(lambda: not any("rl-model" in c for c in world.engines().values()), 20, "RL drains itself")
            self.assertTrue(any("chat-model" in c for c in world.engines().values()), "production goes on")

    def test_a_second_daemon_is_refused(self):
        with World() as world:
            world.start_daemon()
            done = subprocess.run([f"{BIN}/ebbd", "run", "--config", world.config], capture_output=True, text=True, timeout=20)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(str(world.daemon.pid), done.stderr + done.stdout)

    def test_a_bad_reload_keeps_the_old_config_and_says_so(self):
        with World() as world:
            world.start_daemon()
            old = world.get("/v1/status")["config_hash"]
            world.write_config("\nno_such_key: 1\n")
            world.daemon.send_signal(signal.SIGHUP)
            wait_for(lambda: not world.get("/v1/status")["reload"]["ok"], 10, "the refusal shows")
            status = world.get("/v1/status")
            self.assertEqual(status["config_hash"], old)
            self.assertIn("no_such_key", json.dumps(status["reload"]))
            self.assertIn("ebb_config_last_reload_successful 0", world.get("/metrics", raw=True))
            world.options["target"] = 3
            world.write_config()  # a changed file is noticed without a signal
            wait_for(lambda: world.get("/v1/status")["reload"]["ok"], 10, "the good file is taken")
            self.assertNotEqual(world.get("/v1/status")["config_hash"], old)

    def test_overrides_outlive_a_crash(self):
        with World() as world:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            world.call("POST", "/v1/overrides", {"kind": "drain_all", "target": "", "reason": "test", "owner": "it", "ttl": "10m"})
            world.kill_daemon()
            world.start_daemon()
            wait_for(lambda: not world.replicas("rl@local"), 20, "RL leaves")
            self.assertEqual(len(world.get("/v1/overrides")["overrides"]), 1)

    def test_demand_set_through_the_api_is_obeyed(self):
        with World() as world:
            world.start_daemon()
            world.wait_ready("rl@local", 3)
            world.call("PUT", "/v1/jobs/rl/demand", {"replicas": 1, "ttl": "10m"})
            world.wait_ready("rl@local", 1)
            world.call("PUT", "/v1/jobs/rl/demand", {"replicas": 1, "ttl": "1s"})
            world.wait_ready("rl@local", 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
