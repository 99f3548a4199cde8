#!/usr/bin/env python3
"""Every capacity policy on real traces, each swept over its caution, compared at equal shortfall.

    tests/tools/bench_policies.py --build-dir build/release [--quick] [--minutes N] [--onto]

Reads the traces in EBB_TRACES (default ../shared/traces; without them it says so and does nothing), writes
docs/policy-benchmark.md and, beside it, .json. `make bench-policies` builds first. The whole grid takes hours: every run
is kept below the build directory, by ebbd, configuration, trace and seed, so that it can be ended and taken up again;
--minutes ends it by itself. What was not measured is said in the document. --quick: one seed, without 16 and 256 GPUs.
--onto takes over the seeds that docs/policy-benchmark.json has, whichever build measured them, and measures only the
others. First it measures a part of each of those builds again: one that decides otherwise takes nothing over.

Where production is somebody else's (owner: external) policies are compared by what they harvest at equal attributable
shortfall; where Ebb scales it too (owner: ebb), at equal shortfall in full. Traces under four days are scored with
owner external only; of the longer ones the first three days teach and do not count with owner ebb.
"""
import argparse
import csv
import glob
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = os.path.join(ROOT, "config/examples/bench.yaml")
DATA = os.path.join(ROOT, "docs/policy-benchmark.json")
HEADROOMS = [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2]
OURS = "conformal"
# name of the family -> (its policy, its option of caution, the values it is swept over, further options)
FAMILIES = {
    OURS: ("conformal", "shortfall_budget", [0.1, 0.05, 0.03, 0.02, 0.014, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001], ""),
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
# Who has read the trace and not the noise between its rows (`--informed`): a yardstick and no comparator.
READER = "rows known"
SIGNAL = "signals: [{signal: load, target: 0.7}]"
SHORTFALL = {"external": "attributable", "ebb": "total"}
LEVELS = (1e-4, 1e-3)
# With one setting for all traces more is allowed: on the roughest of them nobody keeps to the levels above.
LEVELS_FOR_ALL = (1e-3, 1e-2)
# What an aim of efficiency is held to: no more than so much of this measure, and of scale actions over the oracle's.
HELD_TO = {"external": ("shortfall", 1e-4, 1.25), "ebb": ("short_minutes", 1e-4, float("inf"))}
COLUMNS = ["name", "efficiency", "goodput", "shortfall", "short_minutes", "actions_over_oracle"]
FOUR_DAYS_S = 4 * 86_400


@dataclass(frozen=True)
class Cell:
    owner: str
    gpus: int
    delays: tuple  # seconds: production's start, RL's start, RL's drain
    aim: float = None  # of efficiency; most have none

    @property
    def title(self):
        return f"Owner {self.owner}, {self.gpus} GPUs, delays {'/'.join(map(str, self.delays))} s"


USUAL, SLOW = (120, 90, 60), (300, 180, 300)
SEEDS = [1, 2, 3, 4, 5]
# In the order in which they are measured: what answers the most comes first.
CELLS = [
    Cell("external", 64, USUAL, 0.95),
    Cell("ebb", 100, (90, 120, 30), 0.93),
    Cell("external", 64, SLOW),
    Cell("ebb", 64, USUAL),
    Cell("ebb", 64, SLOW),
    Cell("ebb", 100, (15, 30, 15), 0.95),
    Cell("external", 16, USUAL, 0.95),
    Cell("external", 256, USUAL, 0.95),
    Cell("external", 16, SLOW),
    Cell("external", 256, SLOW),
    Cell("ebb", 16, USUAL),
    Cell("ebb", 256, USUAL),
    Cell("ebb", 16, SLOW),
    Cell("ebb", 256, SLOW),
]


def policy(family, option, value, more, cell):
    start, rl_start, drain = cell.delays
    lead = start if cell.owner == "ebb" else 0
    if family == "fixed":
        return f"{{policy: fixed, replicas: {round(value * cell.gpus)}}}"
    if family == "schedule":
        day = f"{{days: [mon-fri], from: \"07:00\", to: \"22:00\", replicas: {round(value * cell.gpus)}}}"
        return f"{{policy: schedule, time_zone: UTC, windows: [{day}], otherwise: {round(value * cell.gpus * 0.6)}}}"
    words = [f"policy: {family}", SIGNAL, f"{option}: {value}"] + ([more] if more else [])
    if family == "conformal":
        words.append(f"window: {min(rl_start + drain, 300)}s")
    if family in ("conformal", "seasonal") and lead > 0:
        words.append(f"lead: {lead + (rl_start + drain if family == 'seasonal' else 0)}s")
    return "{" + ", ".join(words) + "}"


def configuration(cell):
    start, rl_start, drain = cell.delays
    with open(BASE) as file:
        text = file.read()
    text = text.replace("64", str(cell.gpus)).replace("drain_timeout: 60s", f"drain_timeout: {drain}s")
    text = text.replace("production_start: 120s", f"production_start: {start}s")
    text = text.replace("rl_start: 90s", f"rl_start: {rl_start}s").replace("rl_drain: 60s", f"rl_drain: {drain}s")
    if cell.owner == "ebb":
        text = text.replace("owner: external", "owner: ebb").replace("{pool: local, min: 1,", "{pool: local, fleet: simulated, min: 1,")
        text = text.replace("backtest:\n", "backtest:\n  learn: 3d\n")
    lines = ["  policies:"]
    for name, (family, option, values, more) in FAMILIES.items():
        for value in values:
            lines += [f"    - name: \"{name} {option} {value}\"",
                      f"      capacity: {policy(family, option, value, more, cell)}"]
    return text + "\n".join(lines) + "\n"


def span_s(trace):
    """How long a trace of rates lasts; 0 for one of single requests, which are short."""
    with open(trace) as file:
        rows = csv.DictReader(file)
        if "time_s" not in (rows.fieldnames or []):
            return 0
        return max((float(row["time_s"]) for row in rows), default=0)


class Bench:
    """The runs of one build, and what is taken over from earlier ones: `parts` as DATA has them, by cell and trace."""

    def __init__(self, build_dir, traces, earlier=None):
        self.ebbd = os.path.join(build_dir, "bin/ebbd")
        self.kept = os.path.join(build_dir, "bench-policies")
        os.makedirs(self.kept, exist_ok=True)
        self.traces = {os.path.basename(path)[:-4]: path for path in traces}
        self.long = {name for name, path in self.traces.items() if span_s(path) >= FOUR_DAYS_S}
        self.build = self.digest(self.ebbd)
        self.earlier = earlier or {}

    @staticmethod
    def digest(path):
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()[:16]

    def traces_of(self, cell):
        return [name for name in sorted(self.traces) if cell.owner == "external" or name in self.long]

    def inputs(self, cell, name):
        """What the figures of a trace depend on, beside build and seed."""
        return hashlib.sha256((configuration(cell) + self.digest(self.traces[name])).encode()).hexdigest()[:16]

    def path(self, cell, name, seed):
        """Where a run is kept, without its ending."""
        return os.path.join(self.kept, f"{name}-{self.build}-{self.inputs(cell, name)}-{seed}")

    def known(self, cell, name, seed):
        with open(self.path(cell, name, seed) + ".json") as file:
            return json.load(file)["policies"]

    def is_measured(self, cell, name, seed):
        return os.path.exists(self.path(cell, name, seed) + ".json")

    def taken_over(self, cell, name):
        """Parts of earlier builds from these very inputs."""
        inputs = self.inputs(cell, name)
        return [part for part in self.earlier.get(key_of(cell, name), []) if part["inputs"] == inputs]

    def has(self, cell, name, seed):
        return any(seed in part["seeds"] for part in self.taken_over(cell, name)) or self.is_measured(cell, name, seed)

    def own(self, cell, name, seeds):
        """The part of these seeds that this build adds to what is taken over; None: it adds nothing."""
        taken = {seed for part in self.taken_over(cell, name) for seed in part["seeds"]}
        mine = [seed for seed in seeds if seed not in taken and self.is_measured(cell, name, seed)]
        if not mine:
            return None
        rows = as_data(averaged([self.known(cell, name, seed) for seed in mine], cell.owner))
        return {"build": self.build, "inputs": self.inputs(cell, name), "seeds": mine, "rows": rows}

    def parts(self, cell, name, seeds):
        """What there is of these seeds. A part that holds further ones too cannot be taken apart, and is left out."""
        own = self.own(cell, name, seeds)
        return [part for part in self.taken_over(cell, name) if set(part["seeds"]) <= set(seeds)] + ([own] if own else [])

    def check_decides_alike(self):
        """Of each build something is to be taken over from: measures the least of it again, for each owner, of long and of
        short traces. Another outcome ends the program."""
        least = {}
        for cell in CELLS:
            for name in self.traces_of(cell):
                for part in self.taken_over(cell, name):
                    if part["build"] == self.build:
                        continue
                    kind = (part["build"], cell.owner, name in self.long)
                    cost = len(part["seeds"]) * span_s(self.traces[name])
                    if kind not in least or cost < least[kind][0]:
                        least[kind] = (cost, cell, name, part)
        for (build, _, _), (_, cell, name, part) in least.items():
            print(f"compared with {build}: {key_of(cell, name)}, seeds {part['seeds']}", flush=True)
            for seed in part["seeds"]:
                if not self.is_measured(cell, name, seed):
                    self.measure(cell, name, seed)
            here = averaged([self.known(cell, name, seed) for seed in part["seeds"]], cell.owner)
            if as_data(here) != part["rows"]:
                raise SystemExit("this build decides otherwise: nothing can be taken over; without --onto all is measured anew")

    def measure(self, cell, name, seed):
        path = self.path(cell, name, seed)
        with open(path + ".yaml", "w") as file:
            file.write(configuration(cell))
        done = subprocess.run([self.ebbd, "backtest", "--config", path + ".yaml", "--trace", self.traces[name],
                               "--seed", str(seed), "--format", "json", "--informed", "--out", path + ".part"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{name}: {done.stderr.strip()}")
        os.replace(path + ".part", path + ".json")


def mean(values):
    return sum(values) / len(values)


def averaged(runs, owner):
    """One row per policy: means over the seeds. `shortfall` is what counts with this owner."""
    rows = []
    for same in zip(*(run[1:] for run in runs)):  # the first is the example's own policy
        rows.append({
            "name": same[0]["name"],
            "efficiency": mean([p["efficiency"] for p in same]),
            "goodput": mean([p["goodput"] for p in same]),
            "shortfall": mean([p["shortfall"][SHORTFALL[owner]] for p in same]),
            "short_minutes": mean([p["short_minutes"] for p in same]),
            "actions_over_oracle": mean([p["scale_actions"] / max(p["oracle_scale_actions"], 1) for p in same]),
        })
    return rows


def combined(parts):
    """The rows of all parts' seeds."""
    seeds = sum(len(part["seeds"]) for part in parts)
    rows = []
    for same in zip(*(part["rows"] for part in parts), strict=True):
        row = {"name": same[0][0]}
        for i, column in enumerate(COLUMNS[1:], 1):
            row[column] = sum(values[i] * len(part["seeds"]) for values, part in zip(same, parts)) / seeds
        rows.append(row)
    return rows


def as_data(rows):
    return [[short(row[column]) for column in COLUMNS] for row in rows]


def key_of(cell, name):
    return f"{cell.title}, {name}"


def family_of(row):
    return READER if row["name"].startswith("(" + READER) else next(
        name for name in FAMILIES if row["name"].startswith(name + " "))


def of(rows, family):
    return [row for row in rows if family_of(row) == family]


def rivals(rows):
    return [row for row in rows if family_of(row) not in (OURS, READER)]


def best(rows, most, measure="shortfall"):
    """The row that harvests most without missing more than that; None where every one misses more."""
    return max((row for row in rows if row[measure] <= most), key=lambda row: row["efficiency"], default=None)


def percent(row):
    return "none" if row is None else f"{row['efficiency'] * 100:.1f} %"


def setting(row):
    return row["name"].rsplit(" ", 1)[1]


def against_best(by_trace):
    """Ours, point by point, beside the best of all others that misses no more there."""
    lines = ["| budget | " + " | ".join(by_trace) + " |", "|---|" + "---|" * len(by_trace)]
    for i, value in enumerate(FAMILIES[OURS][2]):
        cells = []
        for rows in by_trace.values():
            row = of(rows, OURS)[i]
            rival = best(rivals(rows), row["shortfall"])
            gain = "alone" if rival is None else f"{(row['efficiency'] - rival['efficiency']) * 100:+.2f}"
            cells.append(f"{row['efficiency'] * 100:.2f} % at {row['shortfall']:.1e}: **{gain}**")
        lines.append(f"| {value} | " + " | ".join(cells) + " |")
    return lines + [""]


def at_level(by_trace, level):
    lines = [f"| shortfall <= {level:g} | " + " | ".join(by_trace) + " |", "|---|" + "---|" * len(by_trace)]
    for family in [*FAMILIES, READER]:
        cells = []
        for rows in by_trace.values():
            row = best(of(rows, family), level)
            cells.append(percent(row) if row is None else f"{percent(row)}, {row['actions_over_oracle']:.2f}x")
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return lines + [""]


def one_setting(by_trace, level):
    """Nobody tunes a policy per week: of each family the one setting that harvests most on the mean of the traces while on
    none of them it misses more than the level."""
    lines = [f"| one setting for all, shortfall <= {level:g} on every trace | harvests on average | misses at most |", "|---|---|---|"]
    for family in FAMILIES:
        settings = [rows for rows in zip(*(of(rows, family) for rows in by_trace.values()))
                    if max(row["shortfall"] for row in rows) <= level]
        if not settings:
            lines.append(f"| {family} | none | |")
            continue
        chosen = max(settings, key=lambda rows: mean([row["efficiency"] for row in rows]))
        option = chosen[0]["name"].removeprefix(family + " ")
        lines.append(f"| {family}, {option} | {mean([row['efficiency'] for row in chosen]) * 100:.1f} % | "
                     f"{max(row['shortfall'] for row in chosen):.1e} |")
    return lines + [""]


def aim(cell, by_trace):
    """One budget for all traces: the one that harvests most while it keeps to the aim's measure wherever any budget does."""
    if cell.aim is None:
        return []
    measure, most, actions = HELD_TO[cell.owner]
    words = {"shortfall": f"an attributable shortfall of {most:g} and {actions:g}x the oracle's actions",
             "short_minutes": f"{most:.2%} short minutes"}[measure]
    possible = {name: rows for name, rows in by_trace.items() if best(of(rows, OURS), most, measure)}
    kept = [rows for rows in zip(*(of(rows, OURS) for rows in possible.values()))
            if all(row[measure] <= most for row in rows)]
    if not kept:
        return [f"Aim: {cell.aim:.0%} at {words}. No budget of `conformal` keeps to that on all traces on which any does.", ""]
    chosen = max(kept, key=lambda rows: mean([row["efficiency"] for row in rows]))
    lines = [f"Aim: {cell.aim:.0%} at {words}, with one budget for all traces ({setting(chosen[0])}).", "",
             f"| | conformal | its {measure.replace('_', ' ')} | actions | reached | rows known, at no more than {most:g} |",
             "|---|---|---|---|---|---|"]
    for name, rows in by_trace.items():
        row = next(row for row in of(rows, OURS) if row["name"] == chosen[0]["name"])
        reached = row["efficiency"] >= cell.aim and row[measure] <= most and row["actions_over_oracle"] <= actions
        reader = percent(best(of(rows, READER), most, measure)) if of(rows, READER) else "has no rows"
        lines.append(f"| {name} | {percent(row)} | {row[measure]:.1e} | {row['actions_over_oracle']:.2f}x | "
                     f"{'yes' if reached else 'no'} | {reader} |")
    return lines + [""]


def section(cell, by_trace, seeds, builds):
    lines = [f"## {cell.title}", "", f"Seeds {', '.join(map(str, seeds))}; measured with {' and '.join(builds)}.", ""]
    lines += aim(cell, by_trace)
    lines += ["`conformal`, and by how many points it harvests more than the best setting of any comparator that misses no "
              "more on that very trace (`alone`: every comparator misses more at every setting):", ""]
    lines += against_best(by_trace)
    for level in LEVELS:
        lines += at_level(by_trace, level)
    for level in LEVELS_FOR_ALL:
        lines += one_setting(by_trace, level)
    return lines


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown processor")
    return f"{model}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}"


def short(value):
    """Six digits of a number are more than anybody compares."""
    return value if isinstance(value, str) else float(f"{value:.6g}")


def written(bench):
    """The document and its data, from all that is known by now of the whole grid. Without a whole cell they stay as they are."""
    sections, data, missing = [], dict(bench.earlier), []
    for cell in CELLS:
        names = bench.traces_of(cell)
        done = [seed for seed in SEEDS if names and all(bench.has(cell, name, seed) for name in names)]
        parts = {name: bench.parts(cell, name, done) for name in names}
        for name in names:
            own = bench.own(cell, name, SEEDS)
            data[key_of(cell, name)] = bench.taken_over(cell, name) + ([own] if own else [])
        # A trace whose means are of further seeds too stands beside the others with all of them only.
        if not done or any(sum(len(part["seeds"]) for part in of_trace) < len(done) for of_trace in parts.values()):
            missing.append(f"- {cell.title}: there are no seeds that all traces have")
            continue
        if len(done) < len(SEEDS):
            missing.append(f"- {cell.title}: seeds {', '.join(str(seed) for seed in SEEDS if seed not in done)}")
        builds = list(dict.fromkeys(part["build"] for of_trace in parts.values() for part in of_trace))
        sections += section(cell, {name: combined(of_trace) for name, of_trace in parts.items()}, done, builds)
    if not sections:
        print("nothing is whole yet: docs/policy-benchmark.md stays as it is")
        return
    with open(os.path.join(ROOT, "tests/tools/policy_benchmark_head.md")) as file:
        lines = [file.read().format(machine=machine(), base=bench.digest(BASE))]
    if missing:
        lines += ["Missing from the whole grid:", "", *missing, ""]
    with open(DATA + ".part", "w") as file:
        json.dump({"columns": COLUMNS, "parts": data}, file, separators=(",", ":"), sort_keys=True)
        file.write("\n")
    os.replace(DATA + ".part", DATA)
    with open(os.path.join(ROOT, "docs/policy-benchmark.md"), "w") as file:
        file.write("\n".join(lines + sections))


def taken_from_document():
    with open(DATA) as file:
        data = json.load(file)
    if data["columns"] != COLUMNS:
        raise SystemExit(f"{DATA} has other columns: nothing of it can be taken over")
    return data["parts"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--quick", action="store_true", help="one seed, without 16 and 256 GPUs")
    parser.add_argument("--minutes", type=float, default=None, help="begin nothing new after so long")
    parser.add_argument("--onto", action="store_true", help="take over the seeds that docs/policy-benchmark.json has")
    options = parser.parse_args()
    traces = os.environ.get("EBB_TRACES", os.path.join(ROOT, "../shared/traces"))
    files = sorted(glob.glob(os.path.join(traces, "*.csv")))
    if not files:
        print(f"no traces in {traces}: set EBB_TRACES to a folder of CSV files (docs/backtest.md); nothing was measured")
        return 0
    bench = Bench(options.build_dir, files, taken_from_document() if options.onto else None)
    bench.check_decides_alike()
    seeds = SEEDS[:1] if options.quick else SEEDS
    cells = [cell for cell in CELLS if not options.quick or cell.gpus in (64, 100)]
    began = time.monotonic()
    for seed in seeds:
        for cell in cells:
            for name in bench.traces_of(cell):
                if bench.has(cell, name, seed):
                    continue
                if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
                    written(bench)
                    print("time is up: the next call goes on from here")
                    return 0
                print(f"{time.monotonic() - began:6.0f} s  seed {seed}, {cell.title}, {name}", flush=True)
                bench.measure(cell, name, seed)
    written(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
