"""Real processes for the integration tests: ebbd with stand-in engines, and requests that keep them busy.

Everything listens on loopback, on ports that are claimed for it, in a directory of its own. Nothing sleeps for a
result: tests wait for conditions with a deadline. `World` kills what it started and nothing else.
"""
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from ports import Ports  # noqa: E402

BIN = os.environ.get("EBB_BIN_DIR", "build/dev/bin")


# Nothing here measures speed: a machine that is busy with other tests may take its time.
PATIENCE = 3


def wait_for(condition, timeout, what):
    """Polls until `condition()` is true and returns its value; fails with `what` and the last exception otherwise.
    `timeout` is generous for a machine that does nothing else."""
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
        except (OSError, urllib.error.URLError, ValueError, KeyError, http.client.HTTPException) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {what}" + (f" (last: {last!r})" if last else ""))


def stat_of(pid):
    """(state, pgrp, session, start time) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            rest = file.read().rpartition(b")")[2].split()
        return rest[0].decode(), int(rest[2]), int(rest[3]), int(rest[19])
    except (OSError, IndexError):
        return None


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return None


def processes_with(text):
    """Live processes whose command line contains `text`: {pid: command line}."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        stat = stat_of(int(name))
        if text in command and stat and stat[0] != "Z":
            found[int(name)] = command
    return found


CONFIG = """\
mode: {mode}
tick: {tick}
sample_interval: {sample}
observe_timeout: {observe}
stale_after: 10s
warm_up: {warm_up}
lost_after: 10s
state_dir: {dir}/state
api: {{listen: "127.0.0.1:{api_port}"}}
failures: {{backoff_first: 500ms, backoff_max: 2s}}
pools:
  - {{name: local, gpus: {gpus}, quiet_window: {quiet}}}
fleets:
  - name: local
    kind: process
    pool: local
    directory: {dir}/fleet
    first_port: {first_port}
    last_port: {last_port}
    health_interval: 100ms
    lease_ttl: {ttl}
    launcher: direct
services:
  - name: chat
    owner: ebb
    model: chat-model
    blind_after: {blind_after}
    capacity: {{policy: target_tracking, signals: [{{signal: in_flight, target: {target}}}], tolerance: 0, stabilisation: {stabilisation}}}
    deployments:
      - pool: local
        fleet: local
        min: 1
        max: {gpus}
        command: {chat_command}
        start_timeout: 20s
        drain_timeout: 5s
        sources: [{{kind: scrape, dialect: vllm, frozen_after: 5s}}]
jobs:
  - name: rl
    model: rl-model
    grow_step: 8
    grow_cooldown: 0s
    reclaim_cooldown: {reclaim_cooldown}
    victim: {{policy: {victim}}}
    deployments:
      - pool: local
        fleet: local
        max: {gpus}
        command: {rl_command}
        start_timeout: 20s
        drain_timeout: {rl_drain}
        sources: {rl_sources}
"""

DEFAULTS = dict(mode="act", tick="500ms", sample="200ms", observe="180ms", warm_up="0s", gpus=4, quiet="0s", ttl="60s",
                blind_after="60s", target=2, stabilisation="0s", reclaim_cooldown="0s", rl_drain="3s", victim="newest",
                rl_sources="[]", engine_args=[])


class World:
    """One directory, one configuration, one daemon at a time, and the engines it starts."""

    def __init__(self, **options):
        self.options = {**DEFAULTS, **options}
        self.dir = tempfile.mkdtemp(prefix="ebb-it-")
        self.ports = Ports()
        self.api_port, self.pull_port = self.ports.one(), self.ports.one()
        self.first_port = self.ports.first
        self.config = os.path.join(self.dir, "ebb.yaml")
        self.daemon = None
        self.write_config()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_everything()
        self.ports.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ------------------------------------------------------------ configuration and daemon

    def command(self, model):
        args = [os.path.abspath(f"{BIN}/ebb-engine"), "--port", "{port}", "--model", model, "--startup", "100ms",
                "--decode-speed", "20", "--max-num-seqs", "64", "--drain-timeout", "30s", *self.options["engine_args"]]
        return json.dumps(args)

    def write_config(self, extra=""):
        text = CONFIG.format(dir=self.dir, api_port=self.api_port, first_port=self.first_port,
                             last_port=self.first_port + 31, chat_command=self.command("chat-model"),
                             rl_command=self.command("rl-model"), **self.options)
        with open(self.config, "w") as file:
            file.write(text + extra)

    def start_daemon(self, wait=True, **popen):
        log = open(os.path.join(self.dir, "ebbd.log"), "ab")
        self.daemon = subprocess.Popen([f"{BIN}/ebbd", "run", "--config", self.config], stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, **popen)
        log.close()
        if wait:
            wait_for(lambda: self.get("/readyz", raw=True), 30, "the daemon is ready\n" + self.log())
        return self.daemon

    def kill_daemon(self, sig=signal.SIGKILL, timeout=20):
        self.daemon.send_signal(sig)
        return self.daemon.wait(timeout)

    def log(self):
        try:
            with open(os.path.join(self.dir, "ebbd.log"), errors="replace") as file:
                return file.read()[-6000:]
        except OSError:
            return ""

    # ------------------------------------------------------------ API

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.api_port}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        if body is not None:
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()

    def get(self, path, raw=False):
        text = self.call("GET", path)
        return text if raw else json.loads(text)

    def replicas(self, deployment=None, phase=None):
        listed = self.get("/v1/replicas")["replicas"]
        return [r for r in listed if (deployment is None or r["deployment"] == deployment)
                and (phase is None or r["phase"] == phase)]

    def tick(self):
        return self.get("/v1/decisions?limit=1")["decisions"][0]["tick"]

    def running(self, replica):
        """Requests that a replica says it works on."""
        address = next(r["address"] for r in self.replicas() if r["id"] == replica)
        with urllib.request.urlopen(f"{address}/metrics", timeout=5) as page:
            lines = [line for line in page.read().decode().splitlines() if line.startswith("vllm:num_requests_running")]
        return sum(float(line.split()[-1]) for line in lines)

    def ready(self, deployment):
        return len(self.replicas(deployment, "ready"))

    def wait_ready(self, deployment, count, timeout=30):
        return wait_for(lambda: self.ready(deployment) == count or None, timeout, f"{count} ready replicas of {deployment}\n"
                        + self.log())

    # ------------------------------------------------------------ what is really there

    def engines(self):
        """Engines of this world, by what runs, not by what anybody says: {pid: command}."""
        found = {pid: cmd for pid, cmd in processes_with(f"{BIN}/ebb-engine").items()
                 if any(f"--port {p} " in cmd for p in range(self.first_port, self.first_port + 32))
                 and "ebb-shim" not in cmd}
        # An engine that ends under the address sanitizer is looked at by a copy of itself, its child, for a moment.
        return {pid: cmd for pid, cmd in found.items() if found.get(parent_of(pid)) != cmd}

    def shims(self):
        return {pid: cmd for pid, cmd in processes_with(self.dir).items() if "ebb-shim" in cmd.split(" ")[0]}

    def slots_in_use(self):
        """Every slot that a live engine was given, with repetitions."""
        slots = []
        for pid in self.engines():
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    env = dict(item.split(b"=", 1) for item in file.read().split(b"\0") if b"=" in item)
                slots += env.get(b"CUDA_VISIBLE_DEVICES", b"").decode().split(",")
            except OSError:
                continue
        return [s for s in slots if s]

    def ledger(self, query, *args):
        with sqlite3.connect(f"file:{self.dir}/state/ebb.db?mode=ro", uri=True, timeout=5) as db:
            return db.execute(query, args).fetchall()

    def stop_everything(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait(10)
        # A shim takes its engine down with it; SIGTERM first, so that it can say so in its records.
        for sig in (signal.SIGTERM, signal.SIGKILL):
            for pid in list(self.shims()) + list(self.engines()):
                try:
                    os.kill(pid, sig)
                except OSError:
                    pass
            try:
                wait_for(lambda: not self.shims() and not self.engines(), 8, "engines end")
                return
            except AssertionError:
                continue


class Pressure:
    """Keeps `level` streaming requests in flight on the ready replicas of one deployment of a world, or on `only` one."""

    def __init__(self, world, tokens=4000, name="chat", only=None):
        self.world, self.tokens, self.name, self.only = world, tokens, name, only
        self.level, self.errors, self.finished = 0, [], 0
        self.closing = False
        self.addresses, self.threads = [], []
        self.lock = threading.Lock()
        self.finder = threading.Thread(target=self.find, daemon=True)
        self.finder.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing = True
        self.set(0)
        for thread in self.threads:
            thread.join(10)

    def find(self):
        while not self.closing:
            try:
                self.addresses = [r["address"] for r in self.world.replicas(f"{self.name}@local", "ready")
                                  if self.only in (None, r["id"])]
            except (OSError, ValueError, KeyError, urllib.error.URLError, http.client.HTTPException):
                pass  # the daemon is down: a router keeps its last list
            time.sleep(0.1)

    def set(self, level):
        with self.lock:
            self.level = level
            self.threads = [t for t in self.threads if t.is_alive()]
            for index in range(len(self.threads), level):
                thread = threading.Thread(target=self.run, args=(index,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def run(self, index):
        while not self.closing and index < self.level:
            if not self.addresses:
                time.sleep(0.05)
                continue
            self.request(index, self.addresses[index % len(self.addresses)].removeprefix("http://"))

    def request(self, index, address):
        connection = http.client.HTTPConnection(address, timeout=10)
        started = False
        try:
            connection.request("POST", "/v1/completions", headers={"Content-Type": "application/json"}, body=json.dumps(
                {"model": f"{self.name}-model", "prompt": f"request {index}", "max_tokens": self.tokens, "stream": True}))
            answer = connection.getresponse()
            if answer.status != 200:
                time.sleep(0.05)  # draining or not there yet: a router tries another one
                return
            while not self.closing and index < self.level:
                line = answer.readline()
                if not line:
                    if started:
                        self.errors.append(f"{address}: the stream ended early")
                    return
                started = True
                if b"[DONE]" in line:
                    self.finished += 1
                    return
        except (OSError, http.client.HTTPException) as error:
            if started:
                self.errors.append(f"{address}: {error!r}")
            time.sleep(0.05)
        finally:
            connection.close()
