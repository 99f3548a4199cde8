#!/usr/bin/env python3
"""One compressed day: production traffic rises and falls, RL replicas do the opposite, on eight stood-in GPUs.

    python3 tests/demo/demo.py --build-dir build/release

Beside them a stand-in trainer publishes sixty snapshots, one of them damaged, and everybody loads them.

Environment: DEMO_DURATION=180s  DEMO_HEADLESS=1  DEMO_KILL=1 (kill -9 the daemon half-way)  DEMO_SEED=1
Everything listens on loopback and lives in build/demo/. Exit 0: the claims below held; 1: one of them did not.
"""
import argparse
import fcntl
import os
import re
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tools")]
import screen
import summary
import weights
import world

# In less the trainer's last steps come when RL has no replica that could notice the damage to one of them.
SHORTEST_DAY_S = 90
LEAD_IN_S = 12  # the day's first rate, before it counts: engines start, the daemon warms up
RESTART_S = 3   # as systemd's RestartSec= would
AFTER_S = 60    # the trainer has so long after the day for its last steps


def seconds(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if not match:
        raise SystemExit(f"DEMO_DURATION: '{text}' is no duration such as 90s")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}[match[2]]


class Demo:
    def __init__(self, build_dir):
        text = os.environ.get("DEMO_DURATION", "180s")
        self.day_s = seconds(text)
        if self.day_s < SHORTEST_DAY_S:
            raise SystemExit(f"DEMO_DURATION: {text} is too short, a day takes {SHORTEST_DAY_S}s at least")
        self.kill = os.environ.get("DEMO_KILL", "") not in ("", "0")
        self.headless = os.environ.get("DEMO_HEADLESS", "") not in ("", "0") or not sys.stdout.isatty()
        self.seed = int(os.environ.get("DEMO_SEED", "1"))
        self.build_dir = os.path.abspath(build_dir)
        self.home = os.path.join(os.path.dirname(self.build_dir), "demo")
        self.world = world.World(self.build_dir, self.home, self.day_s, self.seed)
        self.screen = screen.Screen(self.headless)
        self.killed_at = None
        self.kills = 0
        self.slots_twice = 0

    def prepare(self):
        os.makedirs(os.path.dirname(self.home), exist_ok=True)
        self.lock = open(self.home + ".lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit("another demo is running in " + self.home)
        world.end_leftovers(self.home)
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)
        self.world.write_config()

    def run(self):
        print("Stand-ins: the engines have no GPU and no model, their speeds are configured; sockets, processes, "
              "the daemon and the load are real.")
        print(f"The trainer publishes {weights.STEPS} snapshots: full at 1, 26 and 51 as each 25th is, increments "
              f"between. Step {weights.FAIL_AT}\nis damaged on purpose, so step {weights.FAIL_AT + 1} must be full too.")
        self.world.start_puller()
        self.world.start_daemon()
        self.world.wait_for_api(20)
        print(f"dashboard   {self.world.api}/")
        print(f"ask it why  {self.world.ebbctl} --url {self.world.api} explain")
        print(f"kill it     kill -9 $(cat {os.path.relpath(self.world.pid_file)})   "
              f"(it is started again after {RESTART_S} s)")
        self.world.wait_for_replica("chat", 40)
        self.world.start_loads(LEAD_IN_S)
        print(f"a day in {self.day_s:.0f} s, seed {self.seed}, begins in {LEAD_IN_S} s", flush=True)
        self.watch()

    def watch(self):
        began = time.monotonic() + LEAD_IN_S
        while self.world.production.poll() is None or self.trains(time.monotonic() - began):
            view = self.world.look()
            view["t"] = time.monotonic() - began
            view["day_s"] = self.day_s
            self.slots_twice += world.slots_twice(view["replicas"])
            self.screen.show(view)
            self.supervise(view["t"])
            time.sleep(0.25)
            if view["t"] > self.day_s + 90:
                raise RuntimeError("production load does not end")
        self.world.keep_ledger()
        self.screen.done()

    def trains(self, t):
        """Also a trainer that is late comes to its end, within reason: what it did is judged, not how long it took."""
        return self.world.trainer.poll() is None and t < self.day_s + AFTER_S

    def supervise(self, t):
        """Kills the daemon once if told to, and starts it again whenever it is gone."""
        if self.kill and self.kills == 0 and t > 0.45 * self.day_s:
            self.kills += 1
            self.world.daemon.kill()
            self.screen.say(f"kill -9 {self.world.daemon.pid}: replicas go on without the daemon")
        if self.world.daemon.poll() is None:
            return
        now = time.monotonic()
        if self.killed_at is None:
            self.killed_at = now
            self.screen.say(f"the daemon is gone (status {self.world.daemon.returncode}), again in {RESTART_S} s")
        elif now - self.killed_at > RESTART_S:
            self.killed_at = None
            self.world.start_daemon()
            self.screen.say(f"the daemon is back, pid {self.world.daemon.pid}")

    def judge(self):
        result = summary.gather(self.home, self.world.pool_gpus, self.day_s)
        result["weights"] = weights.gather(world.read_json(os.path.join(self.home, "trainer.json")),
                                           weights.saved(self.home),
                                           summary.lines(os.path.join(self.home, "attempts.jsonl")))
        result["daemon_restarts"] = self.world.daemon_starts - 1
        result["slots_held_twice"] = self.slots_twice
        result["seed"] = self.seed
        result["replay"] = self.world.replay()
        return result


def main():
    parser = argparse.ArgumentParser(description="Ebb's demo")
    parser.add_argument("--build-dir", required=True, help="where bin/ebbd, bin/ebb-engine and bin/ebb-load are")
    demo = Demo(parser.parse_args().build_dir)
    demo.prepare()

    def stop(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    problem = None
    interrupted = False
    try:
        demo.run()
    except KeyboardInterrupt:
        interrupted = True
        print("\nstopping")
    except Exception as error:  # whatever it was, nothing may be left behind
        problem = str(error)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # cleaning up is not to be interrupted half-way
        demo.screen.done()
        left = demo.world.end_everything()
    if interrupted:
        return 130
    if problem is not None:
        print(f"demo: {problem}\n", file=sys.stderr)
        print(demo.world.last_words(), file=sys.stderr)
        return 1
    result = demo.judge()
    result["processes_left"] = left
    return summary.report(result, os.path.join(demo.home, "summary.json"))


if __name__ == "__main__":
    sys.exit(main())
