"""What the day was worth, and whether the demo's claims held."""
import json
import math
import os

import weights
import world

CORRELATION_BELOW = -0.7


def lines(path):
    found = []
    try:
        with open(path) as file:
            for text in file:
                try:
                    found.append(json.loads(text))
                except ValueError:
                    pass  # the last line of a process that was ended
    except OSError:
        pass
    return found


def pearson(pairs):
    """None where it is not defined: fewer than three samples, or one side that never moves."""
    if len(pairs) < 3:
        return None
    mean_x = sum(x for x, _ in pairs) / len(pairs)
    mean_y = sum(y for _, y in pairs) / len(pairs)
    xx = sum((x - mean_x) ** 2 for x, _ in pairs)
    yy = sum((y - mean_y) ** 2 for _, y in pairs)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    return xy / math.sqrt(xx * yy) if xx > 0 and yy > 0 else None


def gather(home, gpus, day_s):
    production = world.read_json(os.path.join(home, "production.json"))
    rollouts = world.read_json(os.path.join(home, "rollouts.json"))
    # Both write a line on each whole second of the wall clock; only the day itself counts, not the lead-in.
    rl_by_second = {round(line["unix"]): line["replicas"] for line in lines(os.path.join(home, "rollouts.jsonl"))}
    day = [line for line in lines(os.path.join(home, "production.jsonl")) if 0 <= line["t"] <= day_s]
    both = [(line, rl_by_second[round(line["unix"])]) for line in day if round(line["unix"]) in rl_by_second]
    peak_replicas = max([line["replicas"] for line in day], default=0)
    return {
        "day_s": day_s,
        "pool_gpus": gpus,
        "production": {
            "requests": production.get("requests", 0),
            "completed": production.get("completed", 0),
            "errors": production.get("errors", 0),
            "errors_by_kind": production.get("errors_by_kind", {}),
            "retries": production.get("retries", 0),
            "token_mismatches": production.get("token_mismatches", 0),
            "ttft_p50_s": production.get("ttft_s", {}).get("p50", 0),
            "ttft_p95_s": production.get("ttft_s", {}).get("p95", 0),
            "ttft_p99_s": production.get("ttft_s", {}).get("p99", 0),
            "itl_p95_s": production.get("itl_s", {}).get("p95", 0),
            "peak_replicas": peak_replicas,
            "peak_in_flight": max([line["in_flight"] for line in day], default=0),
        },
        "rl": {
            "rollouts": rollouts.get("completed", 0),
            "tokens": rollouts.get("tokens", 0),
            "token_mismatches": rollouts.get("token_mismatches", 0),
            "errors": rollouts.get("errors", 0),
            "restarts": rollouts.get("restarts", 0),
            "lost_tokens": rollouts.get("lost_tokens", 0),
            "replica_seconds": sum(rl for _, rl in both),
            # A static split gives production what its peak took, all day long, and RL the rest.
            "replica_seconds_if_static": max(0, gpus - peak_replicas) * len(both),
            "fewest_replicas": min([rl for _, rl in both], default=0),
            "most_replicas": max([rl for _, rl in both], default=0),
        },
        "samples": len(both),
        "correlation": pearson([(line["in_flight"], rl) for line, rl in both]),
    }


def complaints(result):
    """Why the demo failed; empty if it did not."""
    found = []
    if result["production"]["requests"] == 0:
        found.append("no production request was made")
    if result["production"]["errors"] > 0:
        found.append(f"production saw {result['production']['errors']} errors: "
                     f"{result['production']['errors_by_kind']}")
    mismatches = result["production"]["token_mismatches"] + result["rl"]["token_mismatches"]
    if mismatches > 0:
        found.append(f"{mismatches} tokens are not those the weights make")
    if result["correlation"] is None or result["correlation"] > CORRELATION_BELOW:
        found.append(f"correlation {result['correlation']} is not below {CORRELATION_BELOW}")
    if result["slots_held_twice"] > 0:
        found.append("a slot was held twice")
    if result["replay"]["status"] != 0:
        found.append("the ledger does not replay:\n" + result["replay"]["said"])
    return found + weights.complaints(result["weights"])


def report(result, path):
    found = complaints(result)
    result["ok"] = not found
    result["complaints"] = found
    with open(path + ".new", "w") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    os.replace(path + ".new", path)
    production = result["production"]
    rl = result["rl"]
    correlation = result["correlation"]
    static = rl["replica_seconds_if_static"]
    gain = f"  ({rl['replica_seconds'] / static:.1f} x)" if static else ""
    rows = [
        ("production requests", f"{production['requests']}, {production['errors']} errors, "
                                f"{production['retries']} retried before the first token"),
        ("production TTFT p50 / p95 / p99", " / ".join(f"{1000 * production[f'ttft_p{p}_s']:.0f} ms"
                                                       for p in (50, 95, 99))),
        ("production replicas at the peak", f"{production['peak_replicas']} of {result['pool_gpus']}"),
        ("RL replicas", f"{rl['fewest_replicas']} to {rl['most_replicas']}"),
        ("RL tokens", f"{rl['tokens']} in {rl['rollouts']} rollouts, {rl['token_mismatches']} wrong, "
                      f"{rl['lost_tokens']} lost in {rl['restarts']} restarts"),
        ("RL replica-seconds", f"{rl['replica_seconds']:.0f}, a static split gives {static:.0f}{gain}"),
        ("correlation", "none" if correlation is None else f"{correlation:.2f} over {result['samples']} seconds"),
        ("daemon restarts", str(result["daemon_restarts"])),
        *weights.rows(result["weights"]),
        ("replay of the ledger", result["replay"]["said"].strip().splitlines()[-1]),
    ]
    print()
    for name, text in rows:
        print(f"  {name:32} {text}")
    print()
    for text in found:
        print(f"FAILED: {text}")
    if not found:
        print("production noticed nothing; RL had what production did not need, and always the newest weights.")
    print(f"details: {os.path.relpath(path)}")
    return 1 if found else 0
