#!/usr/bin/env python3
"""Ebb's scraper and the real Prometheus on the same targets: CPU seconds a round side by side.

    EBB_BIN_DIR=build/release/bin prometheus_bench.py [--targets 1000] [--seconds 20]

Prometheus scrapes once a second for as many seconds; Ebb's rounds follow each other at once. Prometheus also stores
what it reads, so this compares the work each needs to know the load, not two parsers. Its CPU seconds are counted
once every target is up, from /proc.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(base, query):
    url = f"{base}/api/v1/query?query={urllib.parse.quote(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def prometheus_cost(ports, seconds):
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="ebb-bench-") as folder:
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "vllm",
                                "static_configs": [{"targets": [f"127.0.0.1:{p}" for p in ports]}]}],
        }
        path = pathlib.Path(folder, "prometheus.yml")
        path.write_text(json.dumps(config))  # JSON is YAML
        server = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data", "--log.level=error",
             f"--web.listen-address=127.0.0.1:{port}"])
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                try:
                    if ask(base, "count(up == 1)") == len(ports):
                        break
                except OSError:
                    pass
                time.sleep(0.5)
            else:
                raise SystemExit("prometheus did not reach every target in two minutes")
            began, used = time.monotonic(), cpu_seconds(server.pid)
            time.sleep(seconds)
            rounds = time.monotonic() - began  # one a second
            up = ask(base, "count(up == 1)")
            took = ask(base, "quantile(0.99, scrape_duration_seconds)")
            return {"cpu_s_per_round": round((cpu_seconds(server.pid) - used) / rounds, 4), "targets_up": up,
                    "scrape_p99_s": took}
        finally:
            server.terminate()
            server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    program = str(pathlib.Path(os.environ.get("EBB_BIN_DIR", "build/release/bin"), "scrape_bench"))
    servers = subprocess.Popen([program, "serve", str(options.targets)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    try:
        ports = []
        for line in servers.stdout:
            if not line.strip():
                break
            ports.append(line.strip())
        ebb = json.loads(subprocess.check_output([program, "measure", str(options.seconds), *ports]))
        prometheus = prometheus_cost(ports, options.seconds)
    finally:
        servers.stdin.close()
        servers.wait()
    print(json.dumps({"ebb": ebb, "prometheus": prometheus}, indent=2))
    print(f"{options.targets} targets, CPU seconds a round: ebb {ebb['cpu_s_per_round']:.3f}, "
          f"prometheus {prometheus['cpu_s_per_round']:.3f}")


if __name__ == "__main__":
    main()
