#!/usr/bin/env python3
"""How often a trace's need jumps, whether it stays there, and whether anything announces it.

    tests/tools/rises.py TRACE.csv

Reads a trace of rates (docs/backtest.md), scaled as in config/examples/bench.yaml: its peak needs 0.95 of 64 GPUs.
A rise is a row above all of the five before it by more than a threshold; it stays if the row after the next is still
above them by more than half of that.
"""
import csv
import math
import statistics
import sys

PREFILL, DECODE = 8000, 1000  # tokens/s of a replica
GPUS = 0.95 * 64


def correlation(values, lag):
    mean = statistics.fmean(values)
    off = [value - mean for value in values]
    return sum(a * b for a, b in zip(off, off[lag:])) / sum(a * a for a in off)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with open(sys.argv[1]) as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 10 or "time_s" not in rows[0]:
        raise SystemExit(f"{sys.argv[1]}: no trace of rates, or a very short one")
    need = [float(row["requests_per_s"]) * (float(row["prompt_tokens_per_request"]) / PREFILL +
                                            float(row["output_tokens_per_request"]) / DECODE) for row in rows]
    if max(need) <= 0:
        raise SystemExit(f"{sys.argv[1]}: nothing but zeros")
    need = [value * GPUS / max(need) for value in need]
    step = float(rows[1]["time_s"]) - float(rows[0]["time_s"])
    print(f"{len(need)} rows of {step:.0f} s, on average {statistics.fmean(need):.1f} GPUs")
    before = {i: max(need[i - 5:i]) for i in range(5, len(need) - 2)}
    for least in (10, 15, 20, 30, 40):
        rises = [i for i, most in before.items() if need[i] - most > least]
        stay = sum(1 for i in rises if need[i + 2] - before[i] > least / 2)
        words = f"more than {least} GPUs: {len(rises)} times, of which {stay} stay"
        apart = [(b - a) * step / 60 for a, b in zip(rises, rises[1:])]
        if len(apart) > 10:
            words += f"; {statistics.fmean(apart):.0f} minutes apart, standard deviation {statistics.pstdev(apart):.0f}"
        print(words)
    changes = [math.log(max(b, 0.1) / max(a, 0.1)) for a, b in zip(need, need[1:])]
    lags = [1, 2, 3, 5, 10, 60, 1440]
    print("correlation of the changes of its logarithm: " +
          ", ".join(f"{correlation(changes, lag):+.2f} after {lag}" for lag in lags if lag < len(changes) / 2))


if __name__ == "__main__":
    main()
