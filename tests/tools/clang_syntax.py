#!/usr/bin/env python3
"""Parses every source of a clang build directory with -fsyntax-only: what g++ lets through, clang may not.

    tests/tools/clang_syntax.py --build-dir build/clang [--jobs N]

A source is parsed again only when it, a header of the project that it includes, or its command changed.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def syntax_command(entry, depends):
    """The compile command without its output, its launcher and code generation."""
    words = entry.get("arguments") or shlex.split(entry["command"])
    while words and "clang" not in os.path.basename(words[0]):
        words = words[1:]  # ccache and what sets its environment
    if not words:
        raise SystemExit(f"{entry['file']}: this build directory does not compile it with clang")
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT"):
            skip = True
        elif word not in ("-c", "-MD", "-MMD"):
            kept.append(word)
    return kept + ["-fsyntax-only", "-MD", "-MF", depends, "-MT", "x"]


def fingerprint(command, paths):
    digest = hashlib.sha256(" ".join(command).encode())
    for path in sorted(paths):
        try:
            with open(path, "rb") as file:
                digest.update(path.encode() + b"\0" + hashlib.sha256(file.read()).digest())
        except OSError:
            return None
    return digest.hexdigest()


def dependencies(path):
    with open(path) as file:
        names = file.read().replace("\\\n", " ").split(":", 1)[1].split()
    # The system's headers change with a package, and then so does the precompiled header's time.
    return [name for name in map(os.path.abspath, names) if name.startswith(ROOT + os.sep)]


def check(entry, stamps):
    """(what was done, what clang said): "parsed", "unchanged" or "failed"."""
    name = hashlib.sha256(entry["file"].encode()).hexdigest()[:24]
    depends, stamp = os.path.join(stamps, name + ".d"), os.path.join(stamps, name + ".stamp")
    command = syntax_command(entry, depends)
    if os.path.exists(stamp) and os.path.exists(depends):
        with open(stamp) as file:
            if file.read() == fingerprint(command, dependencies(depends)):
                return "unchanged", ""
    done = subprocess.run(command, cwd=entry["directory"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        if os.path.exists(stamp):
            os.remove(stamp)
        return "failed", f"{os.path.relpath(entry['file'], ROOT)}:\n{done.stdout}"
    with open(stamp, "w") as file:
        file.write(fingerprint(command, dependencies(depends)) or "")
    return "parsed", done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    build_dir = os.path.abspath(options.build_dir)
    with open(os.path.join(build_dir, "compile_commands.json")) as file:
        # One source in two programs is parsed once: the second would only say the same.
        unique = {entry["file"]: entry for entry in json.load(file)}
    generated = build_dir + os.sep
    entries = [entry for path, entry in sorted(unique.items()) if not path.startswith(generated)]
    stamps = os.path.join(build_dir, "syntax")
    os.makedirs(stamps, exist_ok=True)
    counts = {"parsed": 0, "unchanged": 0, "failed": 0}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result, text in pool.map(lambda entry: check(entry, stamps), entries):
            counts[result] += 1
            if text:
                print(text, flush=True)
    print(f"{counts['parsed']} sources parsed by clang, {counts['unchanged']} unchanged since the last time, "
          f"{counts['failed']} refused")
    return 1 if counts["failed"] or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
