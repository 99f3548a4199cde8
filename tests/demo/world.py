"""The demo's processes and files: configuration, daemon, load, and the promise that none of it stays behind."""
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import weights
from ports import Ports

POOL_GPUS = 8
PEAK_RPS = 30             # 1.2 s each at 40 tokens: 36 in flight at the peak, six replicas' worth
TARGET_IN_FLIGHT = 6
TAG = "EBB_DEMO_RUN"      # in the environment of all that this demo starts, directly or through the daemon

CONFIG = """\
# Written by tests/demo/demo.py: windows are short because a day takes {day_s:.0f} s here.
mode: act
tick: 1s
sample_interval: 250ms
observe_timeout: 200ms
stale_after: 4s
warm_up: 4s
lost_after: 20s
state_dir: {home}/state
api:
  listen: 127.0.0.1:{api_port}
failures:
  backoff_first: 1s
  backoff_max: 10s
pools:
  - name: local
    gpus: {gpus}
    headroom: 1
    quiet_window: {quiet_ms}ms
fleets:
  - name: here
    kind: process
    pool: local
    directory: {home}/fleet
    first_port: {first_port}
    last_port: {last_port}
    health_interval: 250ms
    lease_ttl: 30s
    launcher: direct
services:
  - name: chat
    owner: ebb
    model: stand-in
    blind_after: 60s
    capacity:
      policy: target_tracking
      signals:
        - signal: in_flight
          target: {target}
      stabilisation: {stabilisation_ms}ms
    deployments:
      - pool: local
        fleet: here
        gpus_per_replica: 1
        min: 1
        max: {production_max}
        command: [{engine}, --port, "{{port}}", --model, stand-in, --weights, production,
                  --startup, 1500ms, --drain-timeout, 20s]
        health_path: /health
        start_timeout: 20s
        drain_timeout: 25s
        sources:
          - kind: scrape
            dialect: vllm
jobs:
  - name: rl
    model: stand-in
    max: {gpus}
    grow_step: 2
    grow_cooldown: {grow_ms}ms
    reclaim_cooldown: {reclaim_ms}ms
    snapshots:
      enabled: true
      store: {home}/store
      hotload:
        kind: vllm
        weights_from: ebb_pull
        puller: http://127.0.0.1:{pull_port}
        update_timeout: 5s
      cadence:
        policy: every
        snapshots: 25
      max_versions_behind: 0
      poll_interval: 100ms
      signal_timeout: 10s
      load_timeout: 20s
      verify_timeout: 20s
      settle: 3s
      retry_first: 200ms
      retry_max: 2s
    deployments:
      - pool: local
        fleet: here
        gpus_per_replica: 1
        min: 0
        max: {gpus}
        command: [{engine}, --port, "{{port}}", --model, stand-in, --weights, base, --dev-mode, --load-time, 300ms,
                  --startup, 1500ms, --drain-timeout, 3s]
        health_path: /health
        start_timeout: 20s
        drain_timeout: 6s
"""


def tagged(run_id):
    """Pids of this user's living processes that carry the run's tag in their environment."""
    wanted = f"{TAG}={run_id}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                mine = wanted in file.read().split(b"\0")
            with open(f"/proc/{name}/stat", "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if mine and state != b"Z":
            found.append(int(name))
    return found


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def end_tagged(run_id, patience_s):
    """SIGTERM, then SIGKILL, to the run's processes and to no other. Returns how many would not go by themselves."""
    deadline = time.monotonic() + patience_s
    pids = tagged(run_id)
    send(pids, signal.SIGTERM)
    while pids and time.monotonic() < deadline:
        time.sleep(0.1)
        pids = tagged(run_id)
    stubborn = len(pids)
    deadline = time.monotonic() + 5
    while pids and time.monotonic() < deadline:
        send(pids, signal.SIGKILL)
        time.sleep(0.1)
        pids = tagged(run_id)
    return stubborn


def end_leftovers(home):
    """A demo that was killed hard could not clean up: its tag is in its directory."""
    try:
        with open(os.path.join(home, "run-id")) as file:
            run_id = file.read().strip()
    except OSError:
        return
    if run_id and tagged(run_id):
        print("ending what an earlier demo left behind")
        end_tagged(run_id, 8)


def slots_twice(replicas):
    """How many slots are held by more than one replica. Any is one too many."""
    held = []
    for replica in replicas:
        if replica.get("phase") not in ("gone", "released"):
            held += [slot for slot in str(replica.get("slots", "")).split(",") if slot]
    return len(held) - len(set(held))


class World:
    def __init__(self, build_dir, home, day_s, seed):
        self.bin = os.path.join(build_dir, "bin")
        self.home = home
        self.day_s = day_s
        self.seed = seed
        self.pool_gpus = POOL_GPUS
        self.run_id = uuid.uuid4().hex
        self.env = dict(os.environ, **{TAG: self.run_id})
        self.ports = Ports()
        self.api_port, self.pull_port = self.ports.one(), self.ports.one()
        self.api = f"http://127.0.0.1:{self.api_port}"
        self.ebbctl = os.path.relpath(os.path.join(self.bin, "ebbctl"))
        self.config = os.path.join(home, "ebb.yaml")
        self.pid_file = os.path.join(home, "ebbd.pid")
        self.daemon = None
        self.daemon_starts = 0
        self.production = None
        self.rollouts = None
        self.trainer = None
        self.puller = None

    def write_config(self):
        scale = max(0.5, self.day_s / 180)  # a shorter day has shorter windows
        text = CONFIG.format(
            day_s=self.day_s, home=self.home, api_port=self.api_port, gpus=POOL_GPUS, first_port=self.ports.first,
            last_port=self.ports.first + 63,
            target=TARGET_IN_FLIGHT, production_max=POOL_GPUS - 1, engine=os.path.join(self.bin, "ebb-engine"),
            quiet_ms=int(2000 * scale), stabilisation_ms=int(5000 * scale), grow_ms=int(1000 * scale),
            reclaim_ms=int(3000 * scale), pull_port=self.pull_port)
        with open(self.config, "w") as file:
            file.write(text)
        with open(os.path.join(self.home, "run-id"), "w") as file:
            file.write(self.run_id)

    def spawn(self, name, command):
        log = open(os.path.join(self.home, name + ".log"), "ab")
        # A session of its own: Ctrl-C goes to the demo alone, which then ends everything in order.
        return subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=True)

    def start_daemon(self):
        self.daemon = self.spawn("ebbd", [os.path.join(self.bin, "ebbd"), "run", "--config", self.config])
        self.daemon_starts += 1
        with open(self.pid_file, "w") as file:
            file.write(f"{self.daemon.pid}\n")

    def start_puller(self):
        """What brings snapshots from the store to the engines of this machine."""
        os.makedirs(os.path.join(self.home, "store"))
        self.puller = self.spawn("ebb-pull", [
            os.path.join(self.bin, "ebb-pull"), "serve", "--listen", f"127.0.0.1:{self.pull_port}",
            "--store", os.path.join(self.home, "store"), "--directory", os.path.join(self.home, "pulled")])

    def start_loads(self, lead_in_s):
        load = os.path.join(self.bin, "ebb-load")

        def out(name):
            base = os.path.join(self.home, name)
            return ["--json", base + ".json", "--series", base + ".jsonl", "--ebb", self.api, "--model", "stand-in"]

        self.production = self.spawn("production", [
            load, "production", *out("production"), "--deployment", "chat", "--day", f"{int(self.day_s * 1000)}ms",
            "--lead-in", f"{lead_in_s}s", "--peak-rps", str(PEAK_RPS), "--seed", str(self.seed),
            "--output-tokens", "40", "--prompt-tokens", "64"])
        self.rollouts = self.spawn("rollouts", [
            load, "rollouts", *out("rollouts"), "--deployment", "rl", "--per-replica", "8", "--seed", str(self.seed),
            "--output-tokens", "60", "--sigma", "0.5", "--rollouts", os.path.join(self.home, "attempts.jsonl")])
        # Sixty steps from the lead-in to shortly before the day's end.
        step_ms = int(1000 * (lead_in_s + self.day_s - 8) / weights.STEPS)
        self.trainer = self.spawn("trainer", [
            os.path.join(self.bin, "ebb-trainer"), "--ebb", self.api, "--job", "rl", "--run", "demo",
            "--steps", str(weights.STEPS), "--fail-at", str(weights.FAIL_AT), "--step-time", f"{step_ms}ms",
            "--seed", str(self.seed), "--json", os.path.join(self.home, "trainer.json")])

    def get(self, path, timeout=1.0):
        """The API's answer, or None while there is none."""
        try:
            with urllib.request.urlopen(self.api + path, timeout=timeout) as answer:
                return json.load(answer)
        except (OSError, ValueError, urllib.error.URLError):
            return None

    def replicas(self):
        answer = self.get("/v1/replicas")
        found = answer.get("replicas", []) if isinstance(answer, dict) else answer
        return found if isinstance(found, list) else None

    def wait_for_api(self, limit_s):
        deadline = time.monotonic() + limit_s
        while self.get("/v1/status") is None:
            if self.daemon.poll() is not None:
                raise RuntimeError(f"ebbd ended with status {self.daemon.returncode}")
            if time.monotonic() > deadline:
                raise RuntimeError("ebbd does not answer")
            time.sleep(0.1)

    def wait_for_replica(self, name, limit_s):
        deadline = time.monotonic() + limit_s
        while not any(serving(replica, name) for replica in self.replicas() or []):
            if time.monotonic() > deadline:
                raise RuntimeError(f"no replica of '{name}' became ready")
            time.sleep(0.2)

    def look(self):
        """What the screen shows: numbers of now, from the API and from the load's own files."""
        replicas = self.replicas()
        return {
            "api": replicas is not None,
            "replicas": replicas or [],
            "production": read_json(os.path.join(self.home, "production.json")),
            "rollouts": read_json(os.path.join(self.home, "rollouts.json")),
            "trainer": read_json(os.path.join(self.home, "trainer.json")),
            "sentence": newest_sentence(self.get("/v1/decisions?limit=1")) if replicas is not None else "",
        }

    def keep_ledger(self):
        """What ebbctl says of the day's snapshots and loads, while there is a daemon to ask."""
        def run(words):
            return subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout
        said = weights.read_rows([os.path.join(self.bin, "ebbctl"), "--url", self.api], run)
        with open(os.path.join(self.home, "ledger.json"), "w") as file:
            json.dump(said, file)

    def replay(self):
        """What `ebbd replay` makes of the ledger: every decision of the day, recomputed."""
        done = subprocess.run([os.path.join(self.bin, "ebbd"), "replay", "--db", f"{self.home}/state/ebb.db"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return {"status": done.returncode, "said": done.stdout}

    def end_everything(self):
        """Ends load, daemon and replicas; returns the number of processes that had to be killed."""
        everyone = (self.rollouts, self.production, self.trainer, self.daemon, self.puller)
        for process in everyone:
            if process is not None and process.poll() is None:
                process.terminate()
        for process in everyone:
            if process is None:
                continue
            try:
                process.wait(8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return end_tagged(self.run_id, 15)

    def last_words(self):
        try:
            with open(os.path.join(self.home, "ebbd.log"), errors="replace") as file:
                return "last lines of the daemon's log:\n" + "".join(file.readlines()[-15:])
        except OSError:
            return ""


def serving(replica, name):
    deployment = str(replica.get("deployment", ""))
    return deployment.split("@")[0] == name and replica.get("phase") in ("ready", "serving")


def read_json(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def newest_sentence(answer):
    """The newest decision's steps as one line; those that changed something come first."""
    decisions = answer.get("decisions", []) if isinstance(answer, dict) else answer or []
    if not decisions or not isinstance(decisions[0], dict):
        return ""
    texts = [step.get("text", "") for step in decisions[0].get("why") or [] if isinstance(step, dict)]
    return "; ".join(text for text in texts if text)
