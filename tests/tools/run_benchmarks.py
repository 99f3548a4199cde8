#!/usr/bin/env python3
"""Runs every benchmark of a release build, one after the other: what `make bench` does after building.

    tests/tools/run_benchmarks.py --build-dir build/release [NAME ...]

Programs are build/release/bin/*_bench; whole-process benchmarks are tests/bench/*_bench.py, which find the
programs through EBB_BIN_DIR.
"""
import argparse
import glob
import os
import platform
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, {time.strftime('%Y-%m-%d')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    programs = [[path] for path in sorted(glob.glob(os.path.join(options.build_dir, "bin", "*_bench")))]
    programs += [[sys.executable, path] for path in sorted(glob.glob(os.path.join(ROOT, "tests/bench/*_bench.py")))]
    chosen = [words for words in programs
              if not options.names or any(name in os.path.basename(words[-1 if len(words) == 1 else 1])
                                          for name in options.names)]
    print(f"machine: {machine()}", flush=True)
    environment = {**os.environ, "EBB_BIN_DIR": os.path.abspath(os.path.join(options.build_dir, "bin"))}
    failed = []
    for words in chosen:
        name = os.path.basename(words[0] if len(words) == 1 else words[1])
        print(f"\n== {name}", flush=True)
        if subprocess.run(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL).returncode != 0:
            failed.append(name)
    for name in failed:
        print(f"failed: {name}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
