#!/usr/bin/env python3
"""clang-format, clang-tidy and the house rules, over what changed since the last commit or over everything.

    tests/tools/lint.py [--all] [--jobs N]      look only; exit 1 if something is to be mended
    tests/tools/lint.py --format [--all]        let clang-format mend what it can
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import run_tests
import tidy

ROOT = run_tests.ROOT
PRESET = "clang"  # its precompiled headers are of the compiler that clang-tidy is part of


def changed_files():
    """Files that differ from the last commit, new ones included; on a clean tree, those of the last commit."""
    def names(*words):
        done = subprocess.run(["git", "-C", ROOT, *words], stdout=subprocess.PIPE, text=True, check=True)
        return [name for name in done.stdout.split("\0") if name]
    found = names("diff", "--name-only", "-z", "HEAD") + names("ls-files", "--others", "--exclude-standard", "-z")
    if not found:
        found = names("show", "--name-only", "--format=", "-z", "HEAD")
    return sorted({name for name in found if os.path.isfile(os.path.join(ROOT, name))})


def wrongly_formatted(files):
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    return sorted(set(re.findall(r"^(\S+?):\d+:\d+: error: code should be clang-formatted", done.stderr, re.M)))


def sources_for(files, compiled):
    """The sources to give to clang-tidy: those named, and for a header its own source or one that includes it."""
    chosen = {name for name in files if name in compiled}
    for header in (name for name in files if name.endswith(".hpp")):
        own = header[:-4] + ".cpp"
        if own in compiled:
            chosen.add(own)
            continue
        for name in compiled:
            with open(os.path.join(ROOT, name), errors="replace") as file:
                if f'#include "{header}"' in file.read():
                    chosen.add(name)
                    break
    return sorted(chosen)


def clang_tidy(files, everything, jobs):
    """Problems that clang-tidy has with the sources, as lines."""
    if not (run_tests.configure(PRESET) and run_tests.build(PRESET, jobs, ["ebb_asio_pch", "ebb_test_pch"])):
        return ["the clang preset does not configure"]
    folder = f"{ROOT}/build/{PRESET}"
    with open(f"{folder}/compile_commands.json") as file:
        compiled = sorted({os.path.relpath(entry["file"], ROOT) for entry in json.load(file)})
    compiled = [name for name in compiled if not name.startswith("build")]
    sources = compiled if everything else sources_for(files, compiled)
    print(f"   clang-tidy over {len(sources)} sources", flush=True)

    def check(name):
        done = subprocess.run(["clang-tidy", "-p", folder, "--quiet", name], cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
        return done.stdout.replace(ROOT + os.sep, "") if done.returncode != 0 else ""

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        said = [text for text in pool.map(check, sources) if text]
    # A header is seen by many sources; one look at its problem is enough.
    blocks = [block for text in said for block in re.split(r"\n(?=\S+:\d+:\d+: error)", text.strip())]
    return list(dict.fromkeys(blocks))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--format", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    files = tidy.listed_files(ROOT) if options.all else changed_files()
    sources = [name for name in files if name.endswith(tidy.CPP)]
    if options.format:
        if sources:
            subprocess.run(["clang-format", "-i", *sources], cwd=ROOT, check=True)
        print(f"clang-format went over {len(sources)} files")
        return 0
    print(f"== {len(files)} files, {len(sources)} of them C++" + ("" if options.all else " (changed; ALL=1: everything)"))
    layout = wrongly_formatted(sources) if sources else []
    for name in layout:
        print(f"{name}: not as clang-format would have it (make format)")
    bugs = clang_tidy(files, options.all, options.jobs) if sources else []
    for block in bugs:
        print(block)
    house = [message for path, _, message in tidy.checked(ROOT) if options.all or path in files]
    for message in house:
        print(message)
    print(f"{len(layout)} files to format, {len(bugs)} problems by clang-tidy, {len(house)} by the house rules")
    return 1 if layout or bugs or house else 0


if __name__ == "__main__":
    sys.exit(main())
