#!/usr/bin/env python3
"""What `make test` runs after its packages are there, as stages in a table that ends in the counts of CTest.

    tests/tools/run_tests.py [--jobs N] [--long] [--only STAGE ...]

A stage that fails does not keep the others from running: one run tells all there is to mend.
"""
import argparse
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Counts:
    """Tests as CTest counts them (one program or script each), and the GoogleTest cases inside them."""

    def __init__(self):
        self.passed = self.failed = self.skipped = self.cases = 0
        self.failures = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.cases += other.cases
        self.failures += other.failures


class Stage:
    def __init__(self, name, what, run):
        self.name, self.what, self.run = name, what, run
        self.counts = Counts()
        self.note = ""
        self.ok = False
        self.seconds = 0.0


def spoken(seconds):
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


def call(command, log=None):
    """Runs a command from the root. With a log its output goes there, and is shown only when it failed."""
    if log is None:
        return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "w") as out:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        with open(log, errors="replace") as text:
            sys.stdout.write(text.read()[-20000:])
        print(f"FAILED: {' '.join(command)}", flush=True)
    return done.returncode == 0


def configure(preset):
    return call(["cmake", "--preset", preset], f"{ROOT}/build/{preset}.configure.log")


def build(preset, jobs, targets=()):
    print(f"   building build/{preset}" + (f" ({' '.join(targets)})" if targets else ""), flush=True)
    command = ["cmake", "--build", f"{ROOT}/build/{preset}", "--parallel", str(jobs)]
    if targets:
        command += ["--target", *targets]
    return call(command, f"{ROOT}/build/{preset}.build.log")


def has_label(preset, label):
    listed = subprocess.run(["ctest", "--test-dir", f"{ROOT}/build/{preset}", "-N", "-L", f"^{label}$"],
                            stdout=subprocess.PIPE, text=True)
    return not re.search(r"^Total Tests: 0$", listed.stdout, re.M)


def failed_cases(text):
    """Cases inside a test that failed, as GoogleTest and unittest name them: often the last lines are all one gets."""
    cases = re.findall(r"^\[  FAILED  \] ([\w./]+)(?: \(|$)", text, re.M)
    cases += re.findall(r"^(?:FAIL|ERROR): (\w+)", text, re.M)
    return f" ({', '.join(dict.fromkeys(cases))})" if cases else ""


def read_junit(path):
    counts = Counts()
    for case in xml.parse(path).getroot().iter("testcase"):
        status = case.get("status")
        text = case.findtext("system-out") or ""
        if status == "run":
            counts.passed += 1
        elif status in ("notrun", "disabled"):
            counts.skipped += 1
            counts.failures.append(case.get("name") + " (did not run)")
        else:
            counts.failed += 1
            counts.failures.append(case.get("name") + failed_cases(text))
        counts.cases += sum(int(n) for n in re.findall(r"^\[==========\] (\d+) tests? from .* ran\.", text, re.M))
    return counts


def fixed_addresses():
    """Prefix of a command that runs without address randomisation, where that is allowed.

    Kernels that randomise 32 bits of an address put mappings where the sanitizers of these compilers do not expect
    them: now and then a test would end before its first line.
    """
    prefix = ["setarch", "--addr-no-randomize"]
    try:
        return prefix if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode == 0 else []
    except FileNotFoundError:
        return []


def ctest(stage, preset, jobs, selection):
    junit = f"{ROOT}/build/{preset}.{stage.name}.xml"
    if os.path.exists(junit):
        os.remove(junit)
    ok = call([*fixed_addresses(), "ctest", "--test-dir", f"{ROOT}/build/{preset}", "--parallel", str(jobs),
               "--output-on-failure", "--no-tests=error", "--timeout", "300", "--output-junit", junit, *selection])
    if not os.path.exists(junit):
        return False
    stage.counts = read_junit(junit)
    stage.note = f"{stage.counts.cases} cases in {stage.counts.passed + stage.counts.failed} tests"
    return ok and stage.counts.failed == 0 and stage.counts.skipped == 0


def asan(stage, jobs):
    return configure("asan") and build("asan", jobs) and ctest(stage, "asan", jobs, ["-LE", "^long$"])


def long_tests(stage, jobs):
    return configure("asan") and build("asan", jobs) and ctest(stage, "asan", jobs, ["-L", "^long$"])


def release(stage, jobs):
    return (configure("release") and build("release", jobs, ["tests_core", "tests_sim"])
            and ctest(stage, "release", jobs, ["-L", "^(core|sim)$", "-LE", "^long$"]))


def tsan(stage, jobs):
    if not configure("tsan"):
        return False
    if not has_label("tsan", "threaded"):
        print("no test carries the label threaded: ThreadSanitizer would look at nothing")
        return False
    return (build("tsan", jobs, ["tests_threaded"])
            and ctest(stage, "tsan", jobs, ["-L", "^threaded$", "-LE", "^long$"]))


def clang(stage, jobs):
    if not (configure("clang") and build("clang", jobs, ["ebb_asio_pch", "ebb_test_pch", "ebb_mutants"])):
        return False
    done = subprocess.run([sys.executable, f"{ROOT}/tests/tools/clang_syntax.py", "--build-dir", f"{ROOT}/build/clang",
                           "--jobs", str(jobs)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    sys.stdout.write(done.stdout)
    if done.stdout.strip():
        stage.note = done.stdout.strip().splitlines()[-1]
    return done.returncode == 0


STAGES = [
    ("asan", "every test under g++'s AddressSanitizer and UBSan", asan),
    ("release", "the pure core again, optimised: no sanitizer changes a decision; a thousand simulated days", release),
    ("tsan", "what has threads, under clang's ThreadSanitizer", tsan),
    ("clang", "every source through the second compiler", clang),
]
LONG = [("long", "the tests labelled long, under ASan and UBSan", long_tests)]


def run(stage, jobs, number, total):
    print(f"== {number}/{total} {stage.name}: {stage.what}", flush=True)
    start = time.monotonic()
    stage.ok = stage.run(stage, jobs)
    stage.seconds = time.monotonic() - start
    print(f"   {'ok' if stage.ok else 'FAILED'} after {spoken(stage.seconds)}\n", flush=True)


def report(stages):
    total = Counts()
    for stage in stages:
        total.add(stage.counts)
        # A build that broke ran no test: it must count, or the last line would read as a success.
        if not stage.ok and not stage.counts.failures:
            total.failed += 1
            total.failures.append(f"the whole stage {stage.name}")
        print(f"{stage.name:8} {'ok' if stage.ok else 'FAILED':7} {spoken(stage.seconds):>7}  {stage.what}"
              + (f" ({stage.note})" if stage.note else ""))
    print()
    for name in total.failures:
        print(f"failed: {name}")
    print(f"{total.cases} GoogleTest cases in all; tests as CTest counts them, over all stages:")
    print(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--long", action="store_true", help="the long tests instead of the others")
    parser.add_argument("--only", nargs="*", help="stages to run: " + " ".join(name for name, _, _ in STAGES))
    options = parser.parse_args()
    chosen = LONG if options.long else [row for row in STAGES if not options.only or row[0] in options.only]
    stages = [Stage(*row) for row in chosen]
    for number, stage in enumerate(stages, 1):
        run(stage, options.jobs, number, len(stages))
    report(stages)
    return 0 if stages and all(stage.ok for stage in stages) else 1


if __name__ == "__main__":
    sys.exit(main())
