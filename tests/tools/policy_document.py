"""The tables of docs/policy-benchmark.md: who harvests what at equal shortfall. A row is one policy at one caution, means
over the seeds: its name, efficiency, goodput, shortfall (the one that counts with the cell's owner), short_minutes and
actions_over_oracle."""
from policy_grid import FAMILIES, OURS, READER

LEVELS = (1e-4, 1e-3)
# With one setting for all traces more is allowed: on the roughest of them nobody keeps to the levels above.
LEVELS_FOR_ALL = (1e-3, 1e-2)
# What an aim of efficiency is held to: no more than so much of this measure, and of scale actions over the oracle's.
HELD_TO = {"external": ("shortfall", 1e-4, 1.25), "ebb": ("short_minutes", 1e-4, float("inf"))}


def mean(values):
    return sum(values) / len(values)


def family_of(row):
    return READER if row["name"].startswith("(" + READER) else next(
        name for name in FAMILIES if row["name"].startswith(name + " "))


def of(rows, family):
    return [row for row in rows if family_of(row) == family]


def rivals(rows):
    return [row for row in rows if family_of(row) not in (OURS, READER)]


def best(rows, most, measure="shortfall"):
    """The row that harvests most without missing more than that; None where every one misses more."""
    return max((row for row in rows if row[measure] <= most), key=lambda row: row["efficiency"], default=None)


def percent(row):
    return "none" if row is None else f"{row['efficiency'] * 100:.1f} %"


def setting(row):
    return row["name"].rsplit(" ", 1)[1]


def gain(rows, i):
    """Points of efficiency by which our i-th budget is ahead of the best of all others that misses no more; None where
    every one misses more."""
    row = of(rows, OURS)[i]
    rival = best(rivals(rows), row["shortfall"])
    return None if rival is None else (row["efficiency"] - rival["efficiency"]) * 100


def ahead(points):
    return points is None or points > 0


def overview(grid):
    """The whole grid with one budget: the one that is ahead most often, and least behind where several are. `grid` is a
    list of (cell, rows by trace)."""
    every = [rows for _, by_trace in grid for rows in by_trace.values()]
    budgets = FAMILIES[OURS][2]

    def worth(i):
        points = [gain(rows, i) for rows in every]
        return sum(map(ahead, points)), min((p for p in points if p is not None), default=0)

    chosen = max(range(len(budgets)), key=worth)
    traces = list(dict.fromkeys(name for _, by_trace in grid for name in by_trace))
    lines = [f"One budget for the whole grid, {budgets[chosen]}: `conformal` harvests more than the best setting of every "
             f"comparator that misses no more in {worth(chosen)[0]} of {len(every)} sweeps. By how many points, and with how "
             f"many of the {len(budgets)} budgets it does so (`alone`: every comparator misses more at every setting):", "",
             "| | " + " | ".join(traces) + " |", "|---|" + "---|" * len(traces)]
    for cell, by_trace in grid:
        cells = []
        for name in traces:
            if name not in by_trace:
                cells.append("not scored")
                continue
            points = gain(by_trace[name], chosen)
            wins = sum(ahead(gain(by_trace[name], i)) for i in range(len(budgets)))
            cells.append(f"**{'alone' if points is None else f'{points:+.2f}'}**, {wins}")
        lines.append(f"| {cell.title} | " + " | ".join(cells) + " |")
    return lines + [""]


def against_best(by_trace):
    """Ours, point by point, beside the best of all others that misses no more there."""
    lines = ["| budget | " + " | ".join(by_trace) + " |", "|---|" + "---|" * len(by_trace)]
    for i, value in enumerate(FAMILIES[OURS][2]):
        cells = []
        for rows in by_trace.values():
            row, points = of(rows, OURS)[i], gain(rows, i)
            cells.append(f"{row['efficiency'] * 100:.2f} % at {row['shortfall']:.1e}: "
                         f"**{'alone' if points is None else f'{points:+.2f}'}**")
        lines.append(f"| {value} | " + " | ".join(cells) + " |")
    return lines + [""]


def at_level(by_trace, level):
    lines = [f"| shortfall <= {level:g} | " + " | ".join(by_trace) + " |", "|---|" + "---|" * len(by_trace)]
    for family in [*FAMILIES, READER]:
        cells = []
        for rows in by_trace.values():
            row = best(of(rows, family), level)
            cells.append(percent(row) if row is None else f"{percent(row)}, {row['actions_over_oracle']:.2f}x")
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return lines + [""]


def one_setting(by_trace, level):
    """Nobody tunes a policy per week: of each family the one setting that harvests most on the mean of the traces while on
    none of them it misses more than the level."""
    lines = [f"| one setting for all, shortfall <= {level:g} on every trace | harvests on average | misses at most |", "|---|---|---|"]
    for family in FAMILIES:
        settings = [rows for rows in zip(*(of(rows, family) for rows in by_trace.values()))
                    if max(row["shortfall"] for row in rows) <= level]
        if not settings:
            lines.append(f"| {family} | none | |")
            continue
        chosen = max(settings, key=lambda rows: mean([row["efficiency"] for row in rows]))
        option = chosen[0]["name"].removeprefix(family + " ")
        lines.append(f"| {family}, {option} | {mean([row['efficiency'] for row in chosen]) * 100:.1f} % | "
                     f"{max(row['shortfall'] for row in chosen):.1e} |")
    return lines + [""]


def aim(cell, by_trace):
    """One budget for all traces: the one that harvests most while it keeps to the aim's measure wherever any budget does."""
    if cell.aim is None:
        return []
    measure, most, actions = HELD_TO[cell.owner]
    words = {"shortfall": f"an attributable shortfall of {most:g} and {actions:g}x the oracle's actions",
             "short_minutes": f"{most:.2%} short minutes"}[measure]
    possible = {name: rows for name, rows in by_trace.items() if best(of(rows, OURS), most, measure)}
    kept = [rows for rows in zip(*(of(rows, OURS) for rows in possible.values()))
            if all(row[measure] <= most for row in rows)]
    if not kept:
        return [f"Aim: {cell.aim:.0%} at {words}. No budget of `conformal` keeps to that on all traces on which any does.", ""]
    chosen = max(kept, key=lambda rows: mean([row["efficiency"] for row in rows]))
    lines = [f"Aim: {cell.aim:.0%} at {words}, with one budget for all traces ({setting(chosen[0])}).", "",
             f"| | conformal | its {measure.replace('_', ' ')} | actions | reached | rows known, at no more than {most:g} |",
             "|---|---|---|---|---|---|"]
    for name, rows in by_trace.items():
        row = next(row for row in of(rows, OURS) if row["name"] == chosen[0]["name"])
        reached = row["efficiency"] >= cell.aim and row[measure] <= most and row["actions_over_oracle"] <= actions
        reader = percent(best(of(rows, READER), most, measure)) if of(rows, READER) else "has no rows"
        lines.append(f"| {name} | {percent(row)} | {row[measure]:.1e} | {row['actions_over_oracle']:.2f}x | "
                     f"{'yes' if reached else 'no'} | {reader} |")
    return lines + [""]


def section(cell, by_trace, seeds, builds):
    lines = [f"## {cell.title}", "", f"Seeds {', '.join(map(str, seeds))}; measured with {' and '.join(builds)}.", ""]
    lines += aim(cell, by_trace)
    lines += ["`conformal`, and by how many points it harvests more than the best setting of any comparator that misses no "
              "more on that very trace (`alone`: every comparator misses more at every setting):", ""]
    lines += against_best(by_trace)
    for level in LEVELS:
        lines += at_level(by_trace, level)
    for level in LEVELS_FOR_ALL:
        lines += one_setting(by_trace, level)
    return lines
