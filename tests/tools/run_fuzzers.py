#!/usr/bin/env python3
"""Runs every libFuzzer program of a build directory for a while: what `make fuzz` does after building.

    tests/tools/run_fuzzers.py --build-dir build/clang [--seconds 60]

The checked-in corpus is the start; what is found on the way stays in the build directory. A crash leaves its input
in the build directory too: put it into tests/fuzz/corpus/NAME/ together with the fix, and `make test` keeps it fixed.
"""
import argparse
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def fuzz(program, home, seconds):
    """Whether the program survived; prints one line for it, and all that it said when it did not."""
    name = os.path.basename(program)[:-len("_fuzz")]
    found, crashes = os.path.join(home, name, "found"), os.path.join(home, name, "crashes") + os.sep
    os.makedirs(found, exist_ok=True)
    os.makedirs(crashes, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048"]
    done = subprocess.run([program, *limits, "-print_final_stats=1", f"-artifact_prefix={crashes}", found,
                           os.path.join(ROOT, "tests/fuzz/corpus", name)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    edges = re.findall(r"cov: (\d+)", done.stdout)
    if done.returncode == 0:
        inputs, reached = int(runs[1]) if runs else 0, edges[-1] if edges else "?"
        print(f"{name}: {inputs:,} inputs, {reached} branches reached, no crash", flush=True)
        return True
    print(done.stdout[-8000:])
    print(f"{name}: CRASHED; the input is in {os.path.relpath(crashes, ROOT)}", flush=True)
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    programs = sorted(glob.glob(os.path.join(options.build_dir, "bin", "*_fuzz")))
    passed = [fuzz(program, os.path.join(options.build_dir, "fuzz"), options.seconds) for program in programs]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if passed and all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
