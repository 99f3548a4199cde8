"""What the policy benchmark compares: the policies with the caution each is swept over, and the pools they run on."""
import os
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = os.path.join(ROOT, "config/examples/bench.yaml")
HEADROOMS = [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2]
OURS = "conformal"
# name of the family -> (its policy, its option of caution, the values it is swept over, further options)
FAMILIES = {
    OURS: ("conformal", "shortfall_budget", [0.1, 0.05, 0.03, 0.02, 0.014, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001], ""),
    "hpa (target_tracking)": ("target_tracking", "headroom", HEADROOMS, "tolerance: 0"),
    "knative (surge)": ("surge", "headroom", HEADROOMS, ""),
    "keda (threshold)": ("threshold", "headroom", HEADROOMS, ""),
    "planner, constant": ("predictive", "headroom", HEADROOMS, "predictor: constant"),
    "planner, linear": ("predictive", "headroom", HEADROOMS, "predictor: linear"),
    "planner, holt": ("predictive", "headroom", HEADROOMS, "predictor: holt"),
    "planner, seasonal": ("predictive", "headroom", HEADROOMS, "predictor: seasonal"),
    "seasonal": ("seasonal", "headroom", HEADROOMS, ""),
    "static split (fixed)": ("fixed", "replicas", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], ""),
    "time of day (schedule)": ("schedule", "share", [0.6, 0.7, 0.8, 0.9, 1.0], ""),
}
# What is measured by itself: after a change of ours nobody else's figures are stale.
GROUPS = {"ours": [OURS], "others": [name for name in FAMILIES if name != OURS]}
# Who has read the trace and not the noise between its rows (`--informed`): a yardstick and no comparator.
READER = "rows known"
SIGNAL = "signals: [{signal: load, target: 0.7}]"


@dataclass(frozen=True)
class Cell:
    owner: str
    gpus: int
    delays: tuple  # seconds: production's start, RL's start, RL's drain
    aim: float = None  # of efficiency; most have none

    @property
    def title(self):
        return f"Owner {self.owner}, {self.gpus} GPUs, delays {'/'.join(map(str, self.delays))} s"


USUAL, SLOW = (120, 90, 60), (300, 180, 300)
SEEDS = [1, 2, 3, 4, 5]
# In the order in which they are measured: what answers the most comes first.
CELLS = [
    Cell("external", 64, USUAL, 0.95),
    Cell("ebb", 100, (90, 120, 30), 0.93),
    Cell("external", 64, SLOW),
    Cell("ebb", 64, USUAL),
    Cell("ebb", 64, SLOW),
    Cell("ebb", 100, (15, 30, 15), 0.95),
    Cell("external", 16, USUAL, 0.95),
    Cell("external", 256, USUAL, 0.95),
    Cell("external", 16, SLOW),
    Cell("external", 256, SLOW),
    Cell("ebb", 16, USUAL),
    Cell("ebb", 256, USUAL),
    Cell("ebb", 16, SLOW),
    Cell("ebb", 256, SLOW),
]


def policy(family, option, value, more, cell):
    start, rl_start, drain = cell.delays
    lead = start if cell.owner == "ebb" else 0
    if family == "fixed":
        return f"{{policy: fixed, replicas: {round(value * cell.gpus)}}}"
    if family == "schedule":
        day = f"{{days: [mon-fri], from: \"07:00\", to: \"22:00\", replicas: {round(value * cell.gpus)}}}"
        return f"{{policy: schedule, time_zone: UTC, windows: [{day}], otherwise: {round(value * cell.gpus * 0.6)}}}"
    words = [f"policy: {family}", SIGNAL, f"{option}: {value}"] + ([more] if more else [])
    if family == "conformal":
        words.append(f"window: {min(rl_start + drain, 300)}s")
    if family in ("conformal", "seasonal") and lead > 0:
        words.append(f"lead: {lead + (rl_start + drain if family == 'seasonal' else 0)}s")
    return "{" + ", ".join(words) + "}"


def configuration(cell, families):
    start, rl_start, drain = cell.delays
    with open(BASE) as file:
        text = file.read()
    text = text.replace("64", str(cell.gpus)).replace("drain_timeout: 60s", f"drain_timeout: {drain}s")
    text = text.replace("production_start: 120s", f"production_start: {start}s")
    text = text.replace("rl_start: 90s", f"rl_start: {rl_start}s").replace("rl_drain: 60s", f"rl_drain: {drain}s")
    if cell.owner == "ebb":
        text = text.replace("owner: external", "owner: ebb").replace("{pool: local, min: 1,", "{pool: local, fleet: simulated, min: 1,")
        text = text.replace("backtest:\n", "backtest:\n  learn: 3d\n")
    lines = ["  policies:"]
    for name in families:
        family, option, values, more = FAMILIES[name]
        for value in values:
            lines += [f"    - name: \"{name} {option} {value}\"",
                      f"      capacity: {policy(family, option, value, more, cell)}"]
    return text + "\n".join(lines) + "\n"
