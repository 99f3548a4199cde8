#!/usr/bin/env python3
"""Verification of a snapshot of 400 files in a real S3 server on loopback (s3rver).

    EBB_BIN_DIR=build/release/bin verify_bench.py [--shards 400] [--runs 5]

The target is 2 s. s3rver is one thread of JavaScript, so most of the time is the server's; curl's time for the same 400
range requests with the same parallelism stands beside it.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "tools"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
sys.dont_write_bytecode = True
import s3_server
import store_test

PARALLEL = 16  # kReadsAtOnce of daemon/runtime/store_verifier.cpp


def curl_seconds(s3, names):
    with tempfile.NamedTemporaryFile("w", suffix=".curl") as config:
        for name in names:
            config.write(f'url = "{s3.url}/{s3.bucket}/run7/step-1/{name}"\nrange = "0-32767"\noutput = "/dev/null"\n')
        config.flush()
        begun = time.monotonic()
        subprocess.run(["curl", "--silent", "--no-progress-meter", "--fail", "--parallel", "--parallel-max", str(PARALLEL), "--config",
                        config.name, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{s3_server.KEY}:{s3_server.SECRET}",
                        "--header", f"x-amz-content-sha256: {s3_server.EMPTY}"], check=True, stdin=subprocess.DEVNULL)
        return time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=400)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with s3_server.S3Server("weights") as s3:
        files = store_test.model(options.shards)
        for name, body in files.items():
            s3.put(f"run7/step-1/{name}", body)
        where = {"store": "s3://weights/run7", "endpoint": s3.url, "key": "env:EBB_S3RVER", "secret": "env:EBB_S3RVER"}
        times = []
        for _ in range(options.runs):
            answer = store_test.probe(where, "verify", "step-1", "full")
            if answer.get("kind") != "verified":
                raise SystemExit(f"not verified: {answer}")
            times.append(answer["ms"] / 1000)
        plain = min(curl_seconds(s3, [name for name in files if name.startswith("model-")]) for _ in range(3))
    times.sort()
    print(f"verification of {options.shards} files: median {times[len(times) // 2]:.2f} s, "
          f"slowest of {len(times)} {times[-1]:.2f} s (target 2 s); curl's {options.shards} range requests: {plain:.2f} s")
    return 0 if times[-1] <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
