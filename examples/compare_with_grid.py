#!/usr/bin/env python3
"""Compares Bayesian optimization with grid and random search on a small melody search.

python examples/compare_with_grid.py --evaluations 30 --repeats 10
"""

import argparse
from pathlib import Path

import torch

from chromasonic import (
    Float,
    Integer,
    Ordinal,
    compare_searches,
    load_corpus,
    plot_search_comparison,
)
from chromasonic.melody_generation.data import VOCAB_SIZE
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.training.loop import TrainingSettings, train
from chromasonic.melody_generation.training.search_space import model_and_training_params

BOUNDS = {
    "learning_rate": Float(1e-4, 1e-1, log=True),
    "batch_size": Ordinal([4, 8, 16, 32]),
    "hidden_size": Integer(8, 64, step=8),
    "dropout": Float(0.0, 0.5),
}


def arguments() -> argparse.Namespace:
    """Parses the command line; the defaults take about two minutes on one core."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tunes", type=int, default=60, help="before they are split")
    parser.add_argument("--epochs", type=int, default=3, help="most epochs of a training")
    parser.add_argument("--evaluations", type=int, default=20, help="of each method")
    parser.add_argument("--repeats", type=int, default=6, help="6 are needed for intervals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, default=Path("compare_with_grid.png"))
    return parser.parse_args()


def main() -> None:
    """Prints how many evaluations each method needs, and draws the best so far of each."""
    args = arguments()
    corpus = load_corpus(args.tunes)
    melodies = Melodies.from_data(corpus.train, corpus.validation, VOCAB_SIZE)

    def validation_loss(params: dict[str, float]) -> float:
        model_params, training_params = model_and_training_params(params)
        epochs = train(
            lambda: build_model(
                LSTMMelodyModel,
                melodies.vocabulary,
                {**model_params, "embedding_dim": 16, "num_layers": 1},
            ),
            OutputKind.EVERY_POSITION,
            melodies,
            TrainingSettings(num_epochs=args.epochs, **training_params),
            device=torch.device("cpu"),
            seed=args.seed,
        )
        return min(epoch.loss for epoch in epochs)

    comparison = compare_searches(
        validation_loss, BOUNDS, args.evaluations, args.repeats, seed=args.seed
    )
    print(comparison)
    plot_search_comparison(comparison, path=args.plot)
    print(f"best so far of each method: {args.plot}")


if __name__ == "__main__":
    main()
