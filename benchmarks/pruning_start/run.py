r"""Start of the median pruner at which slow starters are not thrown away.

    chromasonic search --n-trials 32 --epochs 20 --n-sequences 500 --sampler random \
        --tokens pitch --pruner none --seed 1 --device cpu --space benchmarks/small_lstm.toml \
        --output-dir curves
    python benchmarks/pruning_start/run.py curves/optimization_results.json

The first command trains 32 random configurations to their end. The second replays the median
pruner on their learning curves, in many random orders of 20, for each epoch it could start at.
Without an argument it replays the committed curves.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CURVES = HERE / "curves.json"
ORDERS = 2000
TRIALS = 20
NUM_EPOCHS = 20
STARTUP_TRIALS = 5
STARTS = (0, 2, 4, 6, 8, 10, 12)


def main() -> None:
    """Replays the pruner for each start and writes `results.json`."""
    if len(sys.argv) > 1:
        keep(Path(sys.argv[1]))
    trials = json.loads(CURVES.read_text())
    curves = [trial["losses"] for trial in trials]
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(curves))[:TRIALS] for _ in range(ORDERS)]
    rows = [{"start": start, **outcome(curves, orders, start)} for start in STARTS]
    (HERE / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(f"{'start':>5} {'epochs run':>10} {'best lost':>9} {'top 3 lost':>10} {'regret':>7}")
    for row in rows:
        print(
            f"{row['start']:5} {row['epochs_run']:10.0%} {row['best_pruned']:9.1%} "
            f"{row['top_3_pruned']:10.1%} {row['regret']:7.4f}"
        )


def keep(results: Path) -> None:
    """Keeps the learning curves of a search's results."""
    trials = json.loads(results.read_text())["trial_results"]
    rows = [
        {
            "learning_rate": trial["params"]["learning_rate"],
            "batch_size": trial["params"]["batch_size"],
            "losses": [round(row["loss"], 5) for row in trial["learning_curve"]],
        }
        for trial in trials
    ]
    CURVES.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def outcome(curves: list[list[float]], orders: list[np.ndarray], start: int) -> dict[str, float]:
    """Savings and cost of pruning from epoch `start` on, over all orders.

    `regret` is how much worse, in nats, the best trial that was left is than the best of all.
    """
    run, best_pruned, top_3_pruned, regret = [], [], [], []
    for order in orders:
        pruned_at = replay([curves[i] for i in order], start)
        values = np.array([min(curves[i]) for i in order])
        lost = np.array([epoch is not None for epoch in pruned_at])
        ranking = values.argsort()
        epochs = [epoch or len(curves[i]) for i, epoch in zip(order, pruned_at, strict=True)]
        run.append(sum(epochs) / sum(len(curves[i]) for i in order))
        best_pruned.append(bool(lost[ranking[0]]))
        top_3_pruned.append(lost[ranking[:3]].mean())
        regret.append(values[~lost].min() - values.min())
    return {
        "epochs_run": statistics.mean(run),
        "best_pruned": statistics.mean(best_pruned),
        "top_3_pruned": float(np.mean(top_3_pruned)),
        "regret": float(np.mean(regret)),
    }


def replay(curves: list[list[float]], start: int) -> list[int | None]:
    """The epoch after which each trial is pruned, or None (the rule of Optuna's MedianPruner)."""
    finished: list[list[float]] = []
    pruned_at: list[int | None] = []
    for curve in curves:
        at = None
        if len(finished) >= STARTUP_TRIALS:
            for epoch in range(max(1, start), len(curve) + 1):
                others = [other[epoch - 1] for other in finished if len(other) >= epoch]
                if others and min(curve[:epoch]) > np.median(others):
                    at = epoch
                    break
        pruned_at.append(at)
        if at is None:
            finished.append(curve)
    return pruned_at


if __name__ == "__main__":
    main()
