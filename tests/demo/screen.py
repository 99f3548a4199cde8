"""Live progress: a small chart that redraws itself on a terminal, a line every few seconds elsewhere."""
import shutil
import sys
import time

import world

BLOCKS = " ▁▂▃▄▅▆▇█"
EVERY_S = 5


def bar(values, top):
    cells = []
    for value in values:
        share = 0 if value is None or top <= 0 else min(1.0, value / top)
        cells.append("·" if value is None else BLOCKS[round(share * (len(BLOCKS) - 1))])
    return "".join(cells)


class Screen:
    def __init__(self, headless):
        self.headless = headless
        self.started = None
        self.columns = []    # (production in flight, production replicas, RL replicas) by column of the day
        self.drawn = 0
        self.last_line = 0.0
        self.notes = []

    def say(self, text):
        self.notes.append(text)
        if self.headless:
            print(f"          {text}", flush=True)

    def show(self, view):
        numbers = {
            "in_flight": view["production"].get("in_flight", 0),
            "chat": count(view, "chat"),
            "rl": count(view, "rl"),
            "errors": view["production"].get("errors", 0),
            "ttft_ms": 1000 * view["production"].get("ttft_s", {}).get("p95", 0),
            "tokens": view["rollouts"].get("tokens", 0),
            "weights": weights_line(view),
        }
        if self.headless:
            self.line(view, numbers)
        else:
            self.draw(view, numbers)

    def line(self, view, numbers):
        if time.monotonic() - self.last_line < EVERY_S:
            return
        self.last_line = time.monotonic()
        sentence = view["sentence"] if view["api"] else "the daemon does not answer"
        print(f"{view['t']:6.0f} s  production {numbers['in_flight']:3d} in flight on {numbers['chat']} replicas, "
              f"TTFT p95 {numbers['ttft_ms']:.0f} ms, {numbers['errors']} errors | "
              f"RL {numbers['rl']} replicas, {numbers['tokens']} tokens | {numbers['weights']} | {sentence[:120]}",
              flush=True)

    def draw(self, view, numbers):
        size = shutil.get_terminal_size((100, 30))
        width = max(20, size.columns - 26)
        column = int(max(0.0, view["t"]) / view["day_s"] * (width - 1))
        while len(self.columns) <= min(column, width - 1):
            self.columns.append((None, None, None))
        self.columns[min(column, width - 1)] = (numbers["in_flight"], numbers["chat"], numbers["rl"])
        columns = self.columns[:width]
        peak = max([12] + [c[0] for c in columns if c[0] is not None])
        sentence = view["sentence"] if view["api"] else "the daemon does not answer; replicas and load go on"
        lines = [
            "",
            f"production in flight {numbers['in_flight']:3d} {bar([c[0] for c in columns], peak)}",
            f"production replicas  {numbers['chat']:3d} {bar([c[1] for c in columns], world.POOL_GPUS)}",
            f"RL replicas          {numbers['rl']:3d} {bar([c[2] for c in columns], world.POOL_GPUS)}",
            "",
            f"{max(0.0, view['t']):.0f} of {view['day_s']:.0f} s   production TTFT p95 {numbers['ttft_ms']:.0f} ms, "
            f"{view['production'].get('requests', 0)} requests, {numbers['errors']} errors   "
            f"RL {numbers['tokens']} tokens, every one checked",
            f"weights: {numbers['weights']}",
            f"why: {sentence}",
            f"     {self.notes[-1] if self.notes else ''}",
        ]
        if self.drawn:
            sys.stdout.write(f"\x1b[{self.drawn}A")
        for text in lines:
            sys.stdout.write("\x1b[2K" + text[: size.columns - 1] + "\n")
        self.drawn = len(lines)
        sys.stdout.flush()

    def done(self):
        sys.stdout.flush()


def weights_line(view):
    """The newest snapshot that has ended, and how many replicas serve it."""
    steps = view["trainer"].get("steps", [])
    if not steps:
        return "no snapshot yet"
    last = steps[-1]
    served = [r.get("weights") for r in view["replicas"] if r.get("role") == "job" and r.get("serves")]
    on_it = f"on {served.count(last['identity'])} of {len(served)} replicas" if served else "no replica to serve it"
    on_it = on_it if view["api"] else "nobody to ask"
    return f"step {last['step']:2d} {last['identity']} {last['kind']} {last['phase']}, {on_it}"


def count(view, name):
    if not view["api"]:
        return view["production" if name == "chat" else "rollouts"].get("replicas", 0)
    return sum(1 for replica in view["replicas"] if world.serving(replica, name))
