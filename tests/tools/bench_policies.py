#!/usr/bin/env python3
"""Every capacity policy on real traces, each swept over its caution, compared at equal shortfall.

    tests/tools/bench_policies.py --build-dir build/release [--quick] [--minutes N] [--onto]

Reads the traces in EBB_TRACES (default ../shared/traces; without them it says so and does nothing), writes
docs/policy-benchmark.md and, beside it, .json. `make bench-policies` builds first. The whole grid takes hours: every run
is kept below the build directory, by ebbd, configuration, trace and seed, so that it can be ended and taken up again;
--minutes ends it by itself. What was not measured is said in the document. --quick: one seed, without 16 and 256 GPUs.
--onto takes over what docs/policy-benchmark.json has, whichever build measured it, and measures only what lacks. First it
measures again a part of what each of those builds found for `conformal`, and for all others: where this build decides
otherwise, nothing is taken over.

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

from policy_document import mean, overview, section
from policy_grid import BASE, CELLS, GROUPS, ROOT, SEEDS, Cell, configuration

DATA = os.path.join(ROOT, "docs/policy-benchmark.json")
SHORTFALL = {"external": "attributable", "ebb": "total"}
COLUMNS = ["name", "efficiency", "goodput", "shortfall", "short_minutes", "actions_over_oracle"]
FOUR_DAYS_S = 4 * 86_400


def span_s(trace):
    """How long a trace of rates lasts; 0 for one of single requests, which are short."""
    with open(trace) as file:
        rows = csv.DictReader(file)
        if "time_s" not in (rows.fieldnames or []):
            return 0
        return max((float(row["time_s"]) for row in rows), default=0)


@dataclass(frozen=True)
class Sweep:
    """A group of policies, each over its caution, on one trace."""
    cell: Cell
    trace: str
    group: str

    @property
    def key(self):
        return f"{self.cell.title}, {self.trace}, {self.group}"


class Bench:
    """The runs of one build, and what is taken over from earlier ones: `earlier` as DATA has it, parts by sweep."""

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

    def sweeps_of(self, cell):
        return [Sweep(cell, name, group) for name in sorted(self.traces)
                if cell.owner == "external" or name in self.long for group in GROUPS]

    def inputs(self, sweep):
        """What the figures of a sweep depend on, beside build and seed."""
        text = configuration(sweep.cell, GROUPS[sweep.group]) + self.digest(self.traces[sweep.trace])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def path(self, sweep, seed):
        """Where a run is kept, without its ending."""
        return os.path.join(self.kept, f"{sweep.trace}-{self.build}-{self.inputs(sweep)}-{seed}")

    def known(self, sweep, seed):
        with open(self.path(sweep, seed) + ".json") as file:
            return json.load(file)["policies"]

    def is_measured(self, sweep, seed):
        return os.path.exists(self.path(sweep, seed) + ".json")

    def taken_over(self, sweep):
        """Parts of earlier builds from these very inputs."""
        inputs = self.inputs(sweep)
        return [part for part in self.earlier.get(sweep.key, []) if part["inputs"] == inputs]

    def has(self, sweep, seed):
        return any(seed in part["seeds"] for part in self.taken_over(sweep)) or self.is_measured(sweep, seed)

    def own(self, sweep, seeds):
        """The part of these seeds that this build adds to what is taken over; None: it adds nothing."""
        taken = {seed for part in self.taken_over(sweep) for seed in part["seeds"]}
        mine = [seed for seed in seeds if seed not in taken and self.is_measured(sweep, seed)]
        if not mine:
            return None
        rows = as_data(averaged([self.known(sweep, seed) for seed in mine], sweep.cell.owner))
        return {"build": self.build, "inputs": self.inputs(sweep), "seeds": mine, "rows": rows}

    def parts(self, sweep, seeds):
        """What there is of these seeds. A part that holds further ones too cannot be taken apart, and is left out."""
        own = self.own(sweep, seeds)
        return [part for part in self.taken_over(sweep) if set(part["seeds"]) <= set(seeds)] + ([own] if own else [])

    def check_decides_alike(self):
        """Of each build something is to be taken over from: measures the least of it again, for each group of policies and
        each owner, of long and of short traces. Where it had decided otherwise, nothing of its group is taken over."""
        least = {}
        for cell in CELLS:
            for sweep in self.sweeps_of(cell):
                for part in self.taken_over(sweep):
                    if part["build"] == self.build:
                        continue
                    kind = (part["build"], sweep.group, cell.owner, sweep.trace in self.long)
                    cost = len(part["seeds"]) * span_s(self.traces[sweep.trace])
                    if kind not in least or cost < least[kind][0]:
                        least[kind] = (cost, sweep, part)
        otherwise = set()
        for (build, group, _, _), (_, sweep, part) in least.items():
            if (build, group) in otherwise:
                continue
            print(f"compared with {build}: {sweep.key}, seeds {part['seeds']}", flush=True)
            for seed in part["seeds"]:
                if not self.is_measured(sweep, seed):
                    self.measure(sweep, seed)
            here = averaged([self.known(sweep, seed) for seed in part["seeds"]], sweep.cell.owner)
            if as_data(here) != part["rows"]:
                print(f"{build} had decided otherwise: nothing of its {group} is taken over", flush=True)
                otherwise.add((build, group))
        self.earlier = {key: [part for part in parts if (part["build"], key.rsplit(", ", 1)[1]) not in otherwise]
                        for key, parts in self.earlier.items()}

    def measure(self, sweep, seed):
        path = self.path(sweep, seed)
        with open(path + ".yaml", "w") as file:
            file.write(configuration(sweep.cell, GROUPS[sweep.group]))
        command = [self.ebbd, "backtest", "--config", path + ".yaml", "--trace", self.traces[sweep.trace],
                   "--seed", str(seed), "--format", "json", "--out", path + ".part"]
        if sweep.group == "others":
            command.append("--informed")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{sweep.trace}: {done.stderr.strip()}")
        os.replace(path + ".part", path + ".json")


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


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown processor")
    return f"{model}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}"


def short(value):
    """Six digits of a number are more than anybody compares."""
    return value if isinstance(value, str) else float(f"{value:.6g}")


def written(bench):
    """The document and its data, from all that is known by now of the whole grid. Without a whole cell they stay as they are."""
    sections, grid, data, missing = [], [], dict(bench.earlier), []
    for cell in CELLS:
        sweeps = bench.sweeps_of(cell)
        done = [seed for seed in SEEDS if sweeps and all(bench.has(sweep, seed) for sweep in sweeps)]
        parts = {sweep: bench.parts(sweep, done) for sweep in sweeps}
        for sweep in sweeps:
            own = bench.own(sweep, SEEDS)
            data[sweep.key] = bench.taken_over(sweep) + ([own] if own else [])
        # A sweep whose means are of further seeds too stands beside the others with all of them only.
        if not done or any(sum(len(part["seeds"]) for part in of_sweep) < len(done) for of_sweep in parts.values()):
            missing.append(f"- {cell.title}: there are no seeds that all traces have")
            continue
        if len(done) < len(SEEDS):
            missing.append(f"- {cell.title}: seeds {', '.join(str(seed) for seed in SEEDS if seed not in done)}")
        builds = list(dict.fromkeys(part["build"] for of_sweep in parts.values() for part in of_sweep))
        by_trace = {}
        for sweep, of_sweep in parts.items():
            by_trace.setdefault(sweep.trace, []).extend(combined(of_sweep))
        sections += section(cell, by_trace, done, builds)
        grid.append((cell, by_trace))
    if not sections:
        print("nothing is whole yet: docs/policy-benchmark.md stays as it is")
        return
    with open(os.path.join(ROOT, "tests/tools/policy_benchmark_head.md")) as file:
        lines = [file.read().format(machine=machine(), base=bench.digest(BASE))]
    if missing:
        lines += ["Missing from the whole grid:", "", *missing, ""]
    lines += overview(grid)
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
    parser.add_argument("--onto", action="store_true", help="take over what docs/policy-benchmark.json has, and measure what lacks")
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
            for sweep in bench.sweeps_of(cell):
                if bench.has(sweep, seed):
                    continue
                if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
                    written(bench)
                    print("time is up: the next call goes on from here")
                    return 0
                print(f"{time.monotonic() - began:6.0f} s  seed {seed}, {sweep.key}", flush=True)
                bench.measure(sweep, seed)
    written(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
