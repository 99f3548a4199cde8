#!/usr/bin/env python3
"""The daemon as a whole process: what it costs when idle, how soon it decides, how soon a surge is answered.

    EBB_BIN_DIR=build/release/bin python3 tests/bench/process_bench.py

Prints one line a figure with its target. Nothing fails here: figures go to docs/benchmarks.md with machine and date.
"""
import os
import sqlite3
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from harness import Pressure, World, wait_for  # noqa: E402


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def say(what, value, unit, target):
    print(f"{what:<46} {value:>9.1f} {unit:<4} target {target}", flush=True)


def idle(seconds=30):
    """Default tick and sample interval, four engines, no traffic."""
    with World(tick="5s", sample="1s", observe="800ms") as world:
        world.start_daemon()
        world.wait_ready("rl@local", 3, timeout=60)
        before, start = cpu_seconds(world.daemon.pid), time.monotonic()
        time.sleep(seconds)
        cpu = (cpu_seconds(world.daemon.pid) - before) / (time.monotonic() - start)
        say("idle daemon, CPU of one core", cpu * 100, "%", "<= 1")
        say("idle daemon, resident memory", rss_mb(world.daemon.pid), "MB", "<= 40")


def decided(world):
    try:
        return world.ledger("select count(*) from decisions")[0][0] > 0
    except sqlite3.OperationalError:  # there is no file, or no table in it, yet
        return False


def first_decision(rounds=7):
    """From exec to the first decision that the ledger has, on a fresh state directory."""
    times = []
    for _ in range(rounds):
        with World(tick="5s", sample="1s", observe="800ms") as world:
            start = time.monotonic()
            world.start_daemon(wait=False)
            wait_for(lambda: decided(world), 10, "a decision")
            times.append(time.monotonic() - start)
    say("start to first decision, median", statistics.median(times) * 1000, "ms", "<= 300")


def surge(rounds=5):
    """From the engines' gauges rising to the record of the first drain, default intervals."""
    delays = []
    for _ in range(rounds):
        with World(tick="5s", sample="1s", observe="800ms") as world, Pressure(world) as pressure:
            world.start_daemon()
            world.wait_ready("rl@local", 3, timeout=60)
            last = world.ledger("select coalesce(max(rowid), 0) from actions where kind = 'drain'")[0][0]
            start = time.time()
            pressure.set(8)
            wait_for(lambda: world.ledger("select count(*) from actions where kind = 'drain' and rowid > ?", last)[0][0] > 0,
                     20, "a drain")
            at = world.ledger("select min(recorded_at_ms) from actions where kind = 'drain' and rowid > ?", last)[0][0]
            delays.append(at / 1000 - start)
    say("surge to first drain, worst of %d" % rounds, max(delays) * 1000, "ms", "<= 1200 (one sample interval + 200)")


if __name__ == "__main__":
    first_decision()
    surge()
    idle()
