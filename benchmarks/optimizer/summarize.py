"""Writes `results/summary.md` and `results/regret.png` from the runs there are.

    python benchmarks/optimizer/summarize.py

Regret, intervals and tables are described in README.md.
"""

import argparse

import matplotlib
import numpy as np
from comparison import Comparison, compare, mean_curve
from markdown import table
from problems import FLAT_GROUPS, GROUPS, LIST
from records import RESULTS, Runs, best_values, incumbents, read_lines, regrets

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from peers import PEERS

OURS = "chromasonic"
REGRET_FLOOR = 1e-3  # a thousandth of the way from best to median: as good as solved
SHOWN = (20, 30, 50)
MOST_PROBLEMS = 0.8  # a peer that has run on fewer of the problems is not drawn
LOG_RANGE = slice(9, 50)  # evaluations 10 to 50
DRAWN = np.arange(5, 51)  # the first ones are chance, and may be far above

# Okabe and Ito's colours, told apart with any kind of colour vision; line styles do the rest.
COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
STYLES = ("-", "--", "-.", ":")


def main() -> None:
    """Reads, compares, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, help="use only seeds below this number")
    arguments = parser.parse_args()
    problems = {problem.name: problem for problem in LIST}
    peers = [peer for peer in PEERS if read_lines(peer)]
    best = best_values(peers, problems)
    runs = {peer: regrets(incumbents(peer), problems, best) for peer in peers}
    if arguments.seeds is not None:
        runs = {peer: below(arguments.seeds, found) for peer, found in runs.items()}
    lines = ["# Regret after 50 evaluations", "", "Written by `summarize.py`.", ""]
    for group in ("all", *GROUPS):
        names = {p.name for p in LIST if p.group in (FLAT_GROUPS if group == "all" else (group,))}
        lines += section(group, {peer: of(found, names) for peer, found in runs.items()})
    (RESULTS / "summary.md").write_text("\n".join(lines))
    flat = {p.name for p in LIST if p.group in FLAT_GROUPS}
    draw({peer: of(found, flat) for peer, found in runs.items() if of(found, flat)})
    print("\n".join(lines))


def section(group: str, runs: dict[str, Runs]) -> list[str]:
    """One group's tables, in Markdown."""
    runs = {peer: found for peer, found in runs.items() if found}
    lines = [f"## {group}", "", *regret_table(runs), ""]
    if OURS in runs and len(runs) > 1:
        lines += [*comparison_table(runs), ""]
    return lines


def regret_table(runs: dict[str, Runs]) -> list[str]:
    """Mean regrets and log regret of each method, on all the runs it has."""
    heads = ["method", "runs", *(f"regret at {n}" for n in SHOWN), "log10 regret, 10 to 50"]
    rows = []
    for peer, found in runs.items():
        curve, logs = mean_curve(found), mean_curve(log_regrets(found))
        figures = [f"{curve[n - 1]:.4f}" for n in SHOWN]
        rows.append([peer, str(len(found)), *figures, f"{logs[LOG_RANGE].mean():.3f}"])
    return table(heads, sorted(rows, key=lambda row: float(row[-1])))


def comparison_table(runs: dict[str, Runs]) -> list[str]:
    """Ours against each peer on the pairs both have, with 95% intervals."""
    heads = [
        "against",
        "pairs",
        *(f"regret at {n}, ratio" for n in SHOWN),
        "regret at 50, difference",
        "log10 regret, difference",
        "its regret at 50 reached after",
    ]
    rows = []
    for peer in runs.keys() - {OURS}:
        if runs[peer].keys() & runs[OURS].keys():
            shown = [compare(at(n, runs[OURS]), at(n, runs[peer])) for n in SHOWN]
            logs = compare(mean_logs(runs[OURS]), mean_logs(runs[peer]))
            rows.append([*row(peer, shown, logs), reached_after(runs[OURS], runs[peer])])
    return table(heads, sorted(rows))


def row(peer: str, shown: list[Comparison], logs: Comparison) -> list[str]:
    """One line of the comparison: regrets at the evaluations that are shown, and log regrets."""
    ratios = [comparison.ratio for comparison in shown]
    figures = (logs.n_pairs, *ratios, shown[-1].difference, logs.difference)
    return [peer, *map(str, figures)]


def reached_after(ours: Runs, theirs: Runs) -> str:
    """Evaluations that ours needs to reach the peer's last value, on common pairs."""
    shared = ours.keys() & theirs.keys()
    target = mean_curve({key: theirs[key] for key in shared})[-1]
    reached = np.flatnonzero(mean_curve({key: ours[key] for key in shared}) <= target)
    return str(reached[0] + 1) if len(reached) else "not within 50"


def log_regrets(runs: Runs) -> Runs:
    """Their log10, not below that of the floor."""
    return {key: np.log10(np.maximum(values, REGRET_FLOOR)) for key, values in runs.items()}


def mean_logs(runs: Runs) -> dict[tuple[str, int], float]:
    """Mean log10 regret over evaluations 10 to 50 of each run."""
    return {key: float(logs[LOG_RANGE].mean()) for key, logs in log_regrets(runs).items()}


def at(n: int, runs: Runs) -> dict[tuple[str, int], float]:
    """The regret of each run after `n` evaluations."""
    return {key: float(values[n - 1]) for key, values in runs.items()}


def of(runs: Runs, names: set[str]) -> Runs:
    """The runs on these problems."""
    return {key: values for key, values in runs.items() if key[0] in names}


def below(n_seeds: int, runs: Runs) -> Runs:
    """The runs with these first seeds."""
    return {key: values for key, values in runs.items() if key[1] < n_seeds}


def whole(runs: dict[str, Runs]) -> dict[str, Runs]:
    """Those that have run on most of the problems: with a few alone one may only look good."""
    names = {peer: {problem for problem, _ in found} for peer, found in runs.items()}
    most = MOST_PROBLEMS * len(names[OURS])
    return {peer: found for peer, found in runs.items() if len(names[peer]) >= most}


def draw(runs: dict[str, Runs]) -> None:
    """Mean regret against evaluations, one line a method, ours thick and black."""
    runs = whole(runs)
    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    others = [peer for peer in runs if peer != OURS]
    for i, peer in enumerate(others):
        # When the colors begin anew, the line styles do so one later.
        color, style = COLORS[i % len(COLORS)], STYLES[(i + i // len(COLORS)) % len(STYLES)]
        curve = mean_curve(runs[peer])
        axes.plot(DRAWN, curve[DRAWN - 1], style, color=color, lw=1.8, label=peer)
    if OURS in runs:
        curve = mean_curve(runs[OURS])
        axes.plot(DRAWN, curve[DRAWN - 1], color="black", lw=3, label=OURS)
    axes.set(yscale="log", xlabel="evaluations", ylabel="mean normalised regret", xlim=(5, 50))
    axes.grid(which="both", alpha=0.25)
    axes.legend(ncols=2, frameon=False)
    figure.savefig(RESULTS / "regret.png", dpi=150)


if __name__ == "__main__":
    main()
