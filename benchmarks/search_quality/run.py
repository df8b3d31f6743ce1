"""Test loss after a search of 30 trials on 1,000 tunes, beside the best n-gram.

    python benchmarks/search_quality/run.py

Three searches, with the defaults of `chromasonic search` but for the space, which is what a CPU
can train. The winner is the best trial by validation loss, with the weights the search kept; the
n-gram, fitted to the same training tunes, is the best by validation loss, too. Both are scored
on all test tunes of the shipped split. Searches are kept in `searches/` and go on where they
were. See ../README.md.
"""

import json
import statistics
from pathlib import Path

import torch

from chromasonic.bayesopt import read_space
from chromasonic.melody_generation.data import VOCAB_SIZE, Corpus, load_corpus
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.hyperparameter_search import (
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
)
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.trained.baselines import best_baseline
from chromasonic.melody_generation.trained.evaluation import TuneNats, paired_difference
from chromasonic.melody_generation.trained.files import load_model

HERE = Path(__file__).parent
N_TUNES = 1000
N_TRIALS = 30
NUM_EPOCHS = 15
SEEDS = (1, 2, 3)


def main() -> None:
    """Runs the searches and writes `results.json`."""
    torch.set_num_threads(1)
    corpus = load_corpus(N_TUNES)
    test = load_corpus().test
    melodies = Melodies.from_data(corpus.train, corpus.validation, VOCAB_SIZE)
    name, baseline = best_baseline(melodies)
    ngram = baseline.tune_nats(test)
    rows = [search(seed, corpus, test, ngram) for seed in SEEDS]
    results = {
        "n_tunes": N_TUNES,
        "n_trials": N_TRIALS,
        "num_epochs": NUM_EPOCHS,
        "test_tunes": len(test),
        "best_ngram": name,
        "ngram_test_loss": ngram.loss,
        "searches": rows,
        "mean_test_loss": statistics.mean(row["test_loss"] for row in rows),
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def search(seed: int, corpus: Corpus, test: list, ngram: TuneNats) -> dict:
    """One search, and its winner on the test tunes."""
    space = read_space(HERE.parent / "small_lstm.toml")
    folder = HERE / "searches" / str(seed)
    optimizer = HyperparameterOptimizer(
        LSTMMelodyModel, HyperparameterSearchSpace.from_space(space, NUM_EPOCHS), "cpu", folder
    )
    result = optimizer.optimize(
        corpus.train,
        corpus.validation,
        VOCAB_SIZE,
        n_trials=N_TRIALS,
        sampler="tpe",  # what the committed results were made with
        executor="inline",
        seed=seed,
    )
    scored = load_model(folder / "best_model").tune_nats(test)
    return {
        "seed": seed,
        "validation_loss": result["best_value"],
        "test_loss": scored.loss,
        "minus_ngram": paired_difference(scored, ngram).to_dict(),
        "total_time_s": result["total_time"],
        "training_time_s": sum(trial.training_time for trial in result.trials),
        "best_params": result["best_params"],
    }


if __name__ == "__main__":
    main()
