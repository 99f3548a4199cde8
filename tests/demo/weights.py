"""Which weights made which tokens: what the trainer wrote, what the ledger says, what the rollouts saw."""
import collections
import datetime
import json
import os

STEPS = 60
# Full at 1, 26 and 51, as `every: 25` has it. The damage comes after the last of them, so that it is the damage alone
# that makes 57 full: at 40 it would have made 41 full, and the cadence would have counted on from there, to 66.
FAIL_AT = 56
FULL_STEPS = [1, 26, 51, FAIL_AT + 1]
# A rollout may be sent this long after its replica was listed: the load asks for the list five times a second.
LIST_AGE_S = 1.0
# A token is stamped when its reader gets to it; on a busy machine that is later than it was made.
STAMP_S = 1.0


def unix(iso):
    return datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


class Ledger:
    """What `ebbctl snapshots` and `ebbctl ledger` said at the end of the day."""

    def __init__(self, said):
        self.snapshots = list(reversed(said.get("snapshots", [])))
        self.loads = list(reversed(said.get("loads", [])))
        self.by_identity = {row["identity"]: row for row in self.snapshots}
        served = sorted((row for row in self.snapshots if row["phase"] == "serving"), key=lambda row: row["step"])
        self.rank = {row["identity"]: i for i, row in enumerate(served)}
        self.served_at = [(unix(row["since"]), self.rank[row["identity"]]) for row in served]
        self.first_order = {}                       # (replica, identity): since when it may have had it
        self.seen_at = collections.defaultdict(list)  # replica: (when it was seen to have it, identity)
        for row in self.loads:
            if not row["replica"] or not row["identity"]:
                continue
            if row["what"] in ("loading", "serving"):
                self.first_order.setdefault((row["replica"], row["identity"]), unix(row["at"]))
            if row["what"] == "serving":
                self.seen_at[row["replica"]].append((unix(row["at"]), row["identity"]))

    def newest_at(self, when):
        """The rank of the newest snapshot that served then; -1: none did."""
        return max((rank for at, rank in self.served_at if at <= when), default=-1)

    def fault_of(self, replica, use):
        """Empty, or why these tokens are not what the ledger claims."""
        identity = use["weights"]
        if self.by_identity.get(identity, {}).get("phase") != "serving":
            return f"{identity} never served"
        since = self.first_order.get((replica, identity))
        if since is None:
            return f"{replica} was never told to load {identity}"
        if use["first_unix"] < since - 0.01:
            return f"{replica} had {identity} before it was told to load it"
        for at, other in self.seen_at[replica]:
            # Whoever is seen with newer weights makes no tokens with older ones any more.
            if self.rank.get(other, -1) > self.rank[identity] and use["last_unix"] > at + STAMP_S:
                return f"{replica} made tokens with {identity} after it was seen with {other}"
        return ""

    def joined(self):
        """Replicas that had their first weights after the first snapshot served."""
        if not self.served_at:
            return set()
        return {replica for replica, seen in self.seen_at.items() if min(seen)[0] > self.served_at[0][0] + 0.5}


def gather(trainer, said, attempts):
    """trainer: ebb-trainer's report; said: the ledger's rows; attempts: ebb-load's, one for each rollout."""
    ledger = Ledger(said)
    faults = []
    tokens = 0
    stale = []
    by_newcomers = set()
    joined = ledger.joined()
    for attempt in attempts:
        for use in attempt["uses"]:
            tokens += use["tokens"]
            fault = ledger.fault_of(attempt["replica"], use)
            if fault:
                faults.append(fault)
        if not attempt["uses"]:
            continue
        first = attempt["uses"][0]["weights"]
        newest = ledger.newest_at(attempt["began_unix"] - LIST_AGE_S)
        if ledger.rank.get(first, -1) < newest:
            stale.append(f"{attempt['replica']} began a rollout with {first} when a newer snapshot served")
        if attempt["replica"] in joined:
            by_newcomers.add(attempt["replica"])
    steps = trainer.get("steps", [])
    damaged = next((step for step in steps if step["damaged"]), {})
    after = next((step for step in steps if damaged and step["step"] == damaged["step"] + 1), {})
    loads = sorted(step["serving_s"] for step in steps if step["phase"] == "serving")
    return {
        "steps": len(steps),
        "served": len(loads),
        "full_steps": trainer.get("full_steps", []),
        "kinds": collections.Counter(step["kind"] for step in steps),
        "damaged": {key: damaged.get(key) for key in ("step", "kind", "phase", "problem")},
        "after_damage": {key: after.get(key) for key in ("step", "kind", "phase", "reason")},
        "trainer_problem": trainer.get("problem", "there is no report"),
        "trainer_checked": trainer.get("checked", 0),
        "trainer_mismatches": [text for step in steps for text in step["mismatches"]],
        "serving_p50_s": loads[len(loads) // 2] if loads else 0,
        "serving_max_s": loads[-1] if loads else 0,
        "ledger_differs": differences(ledger, steps),
        "ledger_rows": len(ledger.loads),
        "rollout_tokens": tokens,
        "rollout_faults": faults[:20],
        "stale": stale[:20],
        "joined": len(joined),
        "joined_and_served": len(by_newcomers),
    }


def differences(ledger, steps):
    """Where the ledger and the trainer do not tell the same story."""
    told = [(row["step"], row["identity"], row["kind"], row["phase"]) for row in ledger.snapshots]
    made = [(step["step"], step["identity"], step["kind"], step["phase"]) for step in steps]
    return [f"the trainer has {one}, the ledger {other}" for one, other in zip(made, told) if one != other] + \
        ([f"the trainer made {len(made)} snapshots, the ledger has {len(told)}"] if len(made) != len(told) else [])


def complaints(result):
    found = []
    if result["trainer_problem"]:
        found.append("the trainer ended early: " + result["trainer_problem"])
    if result["steps"] != STEPS or result["served"] != STEPS - 1:
        found.append(f"{result['served']} of {result['steps']} snapshots served, {STEPS - 1} of {STEPS} should have")
    if result["full_steps"] != FULL_STEPS:
        found.append(f"full at {result['full_steps']} instead of {FULL_STEPS}")
    damaged, after = result["damaged"], result["after_damage"]
    if (damaged["step"], damaged["kind"], damaged["phase"]) != (FAIL_AT, "incremental", "failed"):
        found.append(f"the damaged increment: {damaged}")
    if (after["kind"], after["phase"]) != ("full", "serving") or "failed" not in (after["reason"] or ""):
        found.append(f"what followed the damage is not a full one because of it: {after}")
    if result["trainer_mismatches"] or not result["trainer_checked"]:
        found.append(f"the trainer asked {result['trainer_checked']} times what is served, and was wrong about "
                     f"{result['trainer_mismatches'][:3]}")
    for name, what in (("ledger_differs", "the ledger and the trainer differ"),
                       ("rollout_faults", "tokens are not from the weights that the ledger claims"),
                       ("stale", "rollouts began on weights that were not the current ones")):
        if result[name]:
            found.append(f"{what}: {result[name][:3]}")
    if result["joined_and_served"] == 0:
        found.append("no replica joined in mid-run and served")
    return found


def short(text, limit=130):
    text = text or ""
    return text if len(text) <= limit else text[:limit - 3] + "..."


def rows(result):
    """What the summary shows: (name, text)."""
    damaged, after = result["damaged"], result["after_damage"]
    return [
        ("snapshots", f"{result['served']} of {result['steps']} served, half of them within "
                      f"{result['serving_p50_s']:.2f} s, the slowest in {result['serving_max_s']:.2f} s"),
        ("full ones", f"at steps {', '.join(map(str, result['full_steps']))}: each 25th, and after the damage"),
        ("injected damage", f"step {damaged['step']} {damaged['phase']}: {short(damaged['problem'])}"),
        ("... was followed by", f"step {after['step']}, {after['kind']}: {short(after['reason'])}"),
        ("weights checked", f"{result['trainer_checked']} times by digest, {len(result['trainer_mismatches'])} wrong; "
                            f"{result['rollout_tokens']} rollout tokens against {result['ledger_rows']} ledger rows, "
                            f"{len(result['rollout_faults'])} wrong"),
        ("joined in mid-run", f"{result['joined']} replicas, {result['joined_and_served']} of them took rollouts, "
                              f"{len(result['stale'])} rollouts on old weights"),
    ]


def read_rows(ebbctl, run):
    """Every row of `ebbctl snapshots` and `ebbctl ledger`, newest first; `run(words)` gives what a program prints."""
    said = {}
    for command, name in (("snapshots", "snapshots"), ("ledger", "loads")):
        said[name] = []
        before = None
        while before is not None or not said[name]:
            words = [*ebbctl, command, "rl", "--json", "--limit", "1000"]
            page = json.loads(run(words + (["--before", str(before)] if before is not None else [])))
            said[name] += page[name]
            before = page["next_before"]
            if not page[name]:
                break
    return said


def saved(home):
    try:
        with open(os.path.join(home, "ledger.json")) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}
