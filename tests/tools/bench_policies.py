#!/usr/bin/env python3
"""Every capacity policy on real traces, each swept over its caution, compared at equal shortfall.

    tests/tools/bench_policies.py --build-dir build/release [--quick]

Reads the traces in EBB_TRACES (default ../shared/traces; without them it says so and does nothing), writes
docs/policy-benchmark.md and, beside it, .json. `make bench-policies` builds first. --quick: one seed, 64 GPUs.

Where production is somebody else's (owner: external) policies are compared by what they harvest at equal attributable
shortfall; where Ebb scales it too (owner: ebb), by what they harvest at equal shortfall in full, and by the shortfall.
"""
import argparse
import glob
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = os.path.join(ROOT, "config/examples/bench.yaml")
# name of the family -> (its option of caution, the values it is swept over, further options)
HEADROOMS = [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2]
FAMILIES = {
    "hpa (target_tracking)": ("target_tracking", "headroom", HEADROOMS, "tolerance: 0"),
    "knative (surge)": ("surge", "headroom", HEADROOMS, ""),
    "keda (threshold)": ("threshold", "headroom", HEADROOMS, ""),
    "planner, constant": ("predictive", "headroom", HEADROOMS, "predictor: constant"),
    "planner, linear": ("predictive", "headroom", HEADROOMS, "predictor: linear"),
    "planner, holt": ("predictive", "headroom", HEADROOMS, "predictor: holt"),
    "planner, seasonal": ("predictive", "headroom", HEADROOMS, "predictor: seasonal"),
    "seasonal": ("seasonal", "headroom", HEADROOMS, ""),
    "static split (fixed)": ("fixed", "replicas", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], ""),
    "time of day (schedule)": ("schedule", "share", [0.6, 0.7, 0.8, 0.9, 1.0], ""),
}
OURS = {"conformal": ("conformal", "shortfall_budget", [0.1, 0.05, 0.03, 0.02, 0.014, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001], "")}
SIGNAL = "signals: [{signal: load, target: 0.7}]"
OWNERS = ("external", "ebb")
# Which of a run's shortfalls counts.
SHORTFALL = {"external": "attributable", "ebb": "total"}
LEVELS = {"external": (1e-4, 1e-3), "ebb": (1e-3, 1e-2)}
DELAYS = {"120/90/60": (120, 90, 60), "300/180/300": (300, 180, 300)}


def policy(family, option, value, more, gpus, start_and_drain, lead):
    if family == "fixed":
        return f"{{policy: fixed, replicas: {round(value * gpus)}}}"
    if family == "schedule":
        day = f"{{days: [mon-fri], from: \"07:00\", to: \"22:00\", replicas: {round(value * gpus)}}}"
        return f"{{policy: schedule, time_zone: UTC, windows: [{day}], otherwise: {round(value * gpus * 0.6)}}}"
    words = [f"policy: {family}", SIGNAL, f"{option}: {value}"] + ([more] if more else [])
    if family == "conformal":
        words.append(f"window: {min(start_and_drain, 300)}s")
    if family in ("conformal", "seasonal") and lead > 0:
        words.append(f"lead: {lead + (start_and_drain if family == 'seasonal' else 0)}s")
    return "{" + ", ".join(words) + "}"


def configuration(owner, gpus, delays, folder):
    start, rl_start, drain = DELAYS[delays]
    with open(BASE) as file:
        text = file.read()
    text = text.replace("64", str(gpus)).replace("quiet_window: 150s", f"quiet_window: {rl_start + drain}s")
    text = text.replace("drain_timeout: 60s", f"drain_timeout: {drain}s")
    text = text.replace("production_start: 120s", f"production_start: {start}s")
    text = text.replace("rl_start: 90s", f"rl_start: {rl_start}s").replace("rl_drain: 60s", f"rl_drain: {drain}s")
    if owner == "ebb":
        text = text.replace("owner: external", "owner: ebb").replace("{pool: local, min: 1,", "{pool: local, fleet: simulated, min: 1,")
    lines = ["  policies:"]
    for name, (family, option, values, more) in {**FAMILIES, **OURS}.items():
        for value in values:
            capacity = policy(family, option, value, more, gpus, rl_start + drain, start if owner == "ebb" else 0)
            lines += [f"    - name: \"{name} {option} {value}\"", f"      capacity: {capacity}"]
    path = os.path.join(folder, f"bench-{owner}-{gpus}-{delays.replace('/', '-')}.yaml")
    with open(path, "w") as file:
        file.write(text + "\n".join(lines) + "\n")
    return path


def measured(ebbd, config, trace, seed):
    done = subprocess.run([ebbd, "backtest", "--config", config, "--trace", trace, "--seed", str(seed), "--format", "json"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{trace}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def mean(values):
    return sum(values) / len(values)


def averaged(runs, owner):
    """One row per policy: means over the seeds. `shortfall` is what counts with this owner."""
    rows = []
    for same in zip(*(run["policies"][1:] for run in runs)):
        rows.append({
            "name": same[0]["name"],
            "efficiency": mean([p["efficiency"] for p in same]),
            "goodput": mean([p["goodput"] for p in same]),
            "shortfall": mean([p["shortfall"][SHORTFALL[owner]] for p in same]),
            "actions_over_oracle": mean([p["scale_actions"] / max(p["oracle_scale_actions"], 1) for p in same]),
        })
    return rows


def family_of(row):
    return next(name for name in {**OURS, **FAMILIES} if row["name"].startswith(name + " "))


def best(rows, most):
    """The row that harvests most without missing more than that; None where every one misses more."""
    return max((row for row in rows if row["shortfall"] <= most), key=lambda row: row["efficiency"], default=None)


def point(row):
    if row is None:
        return "none"
    return f"{row['efficiency'] * 100:.2f} % at {row['shortfall']:.1e}, {row['actions_over_oracle']:.2f}x"


def section(title, rows, owner):
    """Ours at each of its points, and the best of the others that misses no more."""
    ours = [row for row in rows if family_of(row) in OURS]
    others = [row for row in rows if family_of(row) not in OURS]
    lines = [f"### {title}", "", "| conformal, budget | harvests | best comparator of no greater shortfall | harvests | gain |",
             "|---|---|---|---|---|"]
    for row in ours:
        rival = best(others, row["shortfall"])
        gain = "" if rival is None else f"{(row['efficiency'] - rival['efficiency']) * 100:+.2f}"
        lines.append(f"| {row['name'].rsplit(' ', 1)[1]} | {point(row)} | {rival['name'] if rival else 'none'} | "
                     f"{point(rival)} | {gain} |")
    lines += ["", f"| policy | best at shortfall <= {LEVELS[owner][0]:g} | <= {LEVELS[owner][1]:g} |", "|---|---|---|"]
    for name in {**OURS, **FAMILIES}:
        mine = [row for row in rows if family_of(row) == name]
        lines.append(f"| {name} | {point(best(mine, LEVELS[owner][0]))} | {point(best(mine, LEVELS[owner][1]))} |")
    return lines + [""]


def one_setting(title, by_trace, owner):
    """Nobody tunes a policy per week: of each family the one setting that harvests most on the mean of the traces while on
    none of them it misses more than the level."""
    levels = [10 * level for level in LEVELS[owner]]
    lines = [f"### One setting for all traces, {title}", "",
             "| policy | " + " | ".join(f"shortfall <= {level:g} on every trace" for level in levels) + " |",
             "|---|" + "---|" * len(levels)]
    for family in {**OURS, **FAMILIES}:
        cells = []
        for level in levels:
            settings = [rows for rows in zip(*by_trace) if family_of(rows[0]) == family]
            kept = [rows for rows in settings if max(row["shortfall"] for row in rows) <= level]
            if not kept:
                cells.append("none")
                continue
            chosen = max(kept, key=lambda rows: mean([row["efficiency"] for row in rows]))
            worst = max(row["shortfall"] for row in chosen)
            setting = chosen[0]["name"].removeprefix(family + " ")
            cells.append(f"{mean([row['efficiency'] for row in chosen]) * 100:.1f} % ({setting}), worst {worst:.1e}")
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return lines + [""]


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown processor")
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, {time.strftime('%Y-%m-%d')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    traces = os.environ.get("EBB_TRACES", os.path.join(ROOT, "../shared/traces"))
    files = sorted(glob.glob(os.path.join(traces, "*.csv")))
    if not files:
        print(f"no traces in {traces}: set EBB_TRACES to a folder of CSV files (docs/backtest.md); nothing was measured")
        return 0
    seeds = [1] if options.quick else [1, 2, 3, 4, 5]
    sizes = [64] if options.quick else [16, 64, 256]
    ebbd = os.path.join(options.build_dir, "bin/ebbd")
    began = time.monotonic()
    out, data = [], {}
    with tempfile.TemporaryDirectory(prefix="ebb-bench-") as folder:
        for owner, delays, gpus in itertools.product(OWNERS, DELAYS, sizes):
            config = configuration(owner, gpus, delays, folder)
            title = f"owner {owner}, {gpus} GPUs, delays {delays} s"
            by_trace, sections = [], []
            for trace in files:
                name = os.path.basename(trace)[:-4]
                print(f"{time.monotonic() - began:6.0f} s  {title}, {name}", flush=True)
                rows = averaged([measured(ebbd, config, trace, seed) for seed in seeds], owner)
                data[f"{owner} {delays} {gpus} {name}"] = rows
                by_trace.append(rows)
                sections += section(f"{name}, {title}", rows, owner)
            out += one_setting(title, by_trace, owner) + sections
    head = ["# Policies on real traffic", "",
            f"Written by `make bench-policies` on {machine()}, in {(time.monotonic() - began) / 60:.0f} min; "
            f"seeds {seeds}, `config/examples/bench.yaml`, the traces of `EBB_TRACES`; definitions in `docs/backtest.md`. Cells: "
            "efficiency at shortfall (attributable with owner external, in full with owner ebb), scale actions over "
            "the oracle's. Delays are those of production's start, "
            "RL's start and RL's drain. One configuration of `conformal` for all traces; every comparator is swept over its "
            "caution.", ""]
    with open(os.path.join(ROOT, "docs/policy-benchmark.md"), "w") as file:
        file.write("\n".join(head + out))
    with open(os.path.join(ROOT, "docs/policy-benchmark.json"), "w") as file:
        json.dump(data, file, indent=1, sort_keys=True)
        file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
