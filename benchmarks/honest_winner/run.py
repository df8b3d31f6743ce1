"""Is the winner that was trained again better than a search's own best, on the test tunes?

    python benchmarks/honest_winner/run.py

Twenty searches of small LSTMs on the whole corpus in its shipped split, each with a seed of its
own. After each the best four are trained again as `chromasonic confirm` does it. Where the winner
is another configuration than the search's own best, both are trained on two further seeds that no
choice has seen, and compared on the test tunes; where it is the same, the difference is 0.
Searches are kept in `searches/`, and it goes on where it was. See README.md.
"""

import json
import shutil
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch

from chromasonic.bayesopt import Float, Integer, Ordinal, Space
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import (
    RetrainingConfig,
    Training,
    train_again,
)
from chromasonic.melody_generation.after_search.winner import find_winner
from chromasonic.melody_generation.data import VOCAB_SIZE, Corpus, load_corpus
from chromasonic.melody_generation.hyperparameter_search import (
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
)
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.trained.evaluation import TuneNats, paired_difference

HERE = Path(__file__).parent
N_SEARCHES = 20
N_TRIALS = 12
NUM_EPOCHS = 3
TOP, MOST_REPEATS = 4, 4
FURTHER_REPEATS = (101, 102)
SPACE = Space(
    {
        "learning_rate": Float(1e-3, 3e-2, log=True),
        "batch_size": Ordinal([16, 32, 64]),
        "hidden_size": Integer(32, 64, step=8),
        "embedding_dim": Integer(16, 32, step=8),
        "dropout": Float(0.0, 0.3),
    }
)


def main() -> None:
    """Runs what is missing and writes `results.json`."""
    torch.set_num_threads(1)
    corpus = load_corpus()
    rows = [kept(seed, corpus) for seed in range(N_SEARCHES)]
    differences = [row["test_difference"] for row in rows]
    optimism = [row["raw_best_again"] - row["raw_best_in_search"] for row in rows]
    results = {
        "n_searches": len(rows),
        "n_trials": N_TRIALS,
        "num_epochs": NUM_EPOCHS,
        "winner_is_the_raw_best": sum(row["winner"] == row["raw_best"] for row in rows),
        "raw_best_is_tied_with_the_winner": sum(row["raw_best_is_tied"] for row in rows),
        "test_difference": over_searches(differences),
        "optimism_of_the_raw_best": over_searches(optimism),
        "spread_over_seeds": mean(row["spread_over_seeds"] for row in rows),
        "trainings_to_confirm": mean(row["trainings"] for row in rows),
        "searches": rows,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps({k: v for k, v in results.items() if k != "searches"}, indent=2))


def over_searches(values: list[float]) -> dict[str, float]:
    """The mean and its 95% interval, by a bootstrap over searches."""
    drawn = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5]).tolist()
    return {"mean": mean(values), "low": low, "high": high}


def kept(seed: int, corpus: Corpus) -> dict:
    """The row of one search, which is run only once."""
    file = HERE / "searches" / f"{seed}.json"
    if not file.exists():
        folder = HERE / "searches" / str(seed)
        row = run(seed, corpus, folder)
        file.write_text(json.dumps(row))
        shutil.rmtree(folder)
        print(json.dumps(row), flush=True)
    return json.loads(file.read_text())


def run(seed: int, corpus: Corpus, folder: Path) -> dict:
    """One search, its winner, and what both would have given."""
    optimizer = HyperparameterOptimizer(
        LSTMMelodyModel,
        HyperparameterSearchSpace.from_space(SPACE, NUM_EPOCHS),
        output_dir=folder,
        verbose=False,
    )
    result = optimizer.optimize(
        corpus.train,
        corpus.validation,
        VOCAB_SIZE,
        n_trials=N_TRIALS,
        seed=seed,
        executor="inline",
    )
    search = FinishedSearch.of(result, corpus.train, corpus.validation, corpus.test)
    config = RetrainingConfig(folder / "repeats", executor="inline")
    winner = find_winner(search, config, top=TOP, most_repeats=MOST_REPEATS)
    raw = result.best_trial
    again = next(c for c in winner.candidates if c.trial == raw.number)
    spreads = [stdev(c.losses) for c in winner.candidates]
    row = {
        "seed": seed,
        "winner": winner.trial,
        "raw_best": raw.number,
        "raw_best_is_tied": again.is_tied,
        "raw_best_in_search": again.search_loss,
        "raw_best_again": again.mean_loss,
        "winner_in_search": winner.candidates[0].search_loss,
        "winner_again": winner.candidates[0].mean_loss,
        "spread_over_seeds": mean(spreads),
        "trainings": sum(len(c.losses) for c in winner.candidates),
        "test_difference": 0.0,
    }
    if winner.trial != raw.number:
        one = on_test(search, config, winner.trial, winner.params)
        other = on_test(search, config, raw.number, dict(raw.params))
        found = paired_difference(one, other)
        row |= {"test_difference": found.estimate, "over_tunes": found.to_dict()}
    return row


def on_test(
    search: FinishedSearch, config: RetrainingConfig, trial: int, params: dict
) -> TuneNats:
    """Mean test loss of a configuration over the further seeds."""
    wanted = [Training(trial, repeat, params) for repeat in FURTHER_REPEATS]
    models = train_again(search, wanted, config).values()
    return TuneNats.mean([model.tune_nats(search.test) for model in models])


if __name__ == "__main__":
    main()
