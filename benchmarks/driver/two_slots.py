"""Trials a minute of the demo's search with two slots against one, in turns.

Writes `two_slots.json`. What a child process needs to start and to load PyTorch is left out and
told beside: that part of the first trial's time which none of its epochs took.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import optuna

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SEEDS = (1, 2, 3)
WAYS = {
    "one slot": ["--jobs", "1"],
    "two slots": ["--jobs", "2"],
    "two slots, not deterministic": ["--jobs", "2", "--no-deterministic"],
}


def measure(seed: int, options: list[str]) -> dict:
    """One search as `make demo` runs it."""
    folder = Path(tempfile.mkdtemp())
    arguments = ["--n-trials", "14", "--epochs", "12", "--n-sequences", "500"]
    arguments += ["--tokens", "pitch"]
    arguments += ["--seed", str(seed), "--space", str(ROOT / "examples" / "quick_lstm.toml")]
    command = [sys.executable, "-m", "chromasonic", "search", *arguments, *options]
    subprocess.run([*command, "--output-dir", str(folder)], check=True, capture_output=True)
    results = json.loads((folder / "optimization_results.json").read_text())
    url = f"sqlite:///{folder / 'study.db'}"
    trials = optuna.load_study(study_name=None, storage=url).get_trials()
    first = results["trial_results"][0]
    in_first_s = (trials[0].datetime_complete - trials[0].datetime_start).total_seconds()
    start_up_s = in_first_s - first["training_time"]
    ended = max(trial.datetime_complete for trial in trials)
    seconds = (ended - trials[0].datetime_start).total_seconds() - start_up_s
    shutil.rmtree(folder)
    return {
        "trials_per_minute": 60 * len(trials) / seconds,
        "start_up_s": start_up_s,
        "best_value": results["best_value"],
        "epochs": sum(len(trial["learning_curve"]) for trial in results["trial_results"]),
    }


def main() -> None:
    """Runs every way with every seed, and tells the ratios."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    runs: dict[str, list[dict]] = {way: [] for way in WAYS}
    for seed in SEEDS:
        for way, options in WAYS.items():
            runs[way].append(measure(seed, options))
            print(seed, way, runs[way][-1], flush=True)
            (HERE / "two_slots.json").write_text(json.dumps(runs, indent=1) + "\n")
    rng = np.random.default_rng(0)
    one = np.log([run["trials_per_minute"] for run in runs["one slot"]])
    for way in list(WAYS)[1:]:
        gains = np.log([run["trials_per_minute"] for run in runs[way]]) - one
        drawn = rng.choice(gains, (10_000, len(gains))).mean(axis=1)
        low, high = np.exp(np.quantile(drawn, (0.025, 0.975)))
        print(f"{way}: {np.exp(gains.mean()):.2f} times one ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
