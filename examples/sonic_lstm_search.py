#!/usr/bin/env python3
"""Searches the six parameters of the Sonic LSTM on real tunes, by Bayesian optimization.

python examples/sonic_lstm_search.py --tunes 500 --epochs 10 --iterations 50
"""

import argparse
from pathlib import Path

import torch

from chromasonic import (
    OptimizationResult,
    bayesian_optimization,
    load_corpus,
    plot_optimization_trajectory,
)
from chromasonic.melody_generation.data import VOCAB_SIZE
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.models import SonicLSTM
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.training.loop import TrainingSettings, train
from chromasonic.melody_generation.training.search_space import model_and_training_params

BOUNDS = {
    "learning_rate": (0.0001, 0.01),
    "batch_size": (16, 64),
    "lstm_units_1": (256, 1024),
    "lstm_units_2": (128, 512),
    "sequence_length": (3, 5),
    "dropout_rate": (0.1, 0.3),
}


def arguments() -> argparse.Namespace:
    """Parses the command line; the defaults take about two minutes on one core."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tunes", type=int, default=60, help="before they are split")
    parser.add_argument("--epochs", type=int, default=1, help="most epochs of a training")
    parser.add_argument("--iterations", type=int, default=8, help="evaluations after the first 5")
    parser.add_argument("--min-gain", type=float, help="stop when less is expected, in nats")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, default=Path("sonic_lstm_search.png"))
    return parser.parse_args()


def main() -> None:
    """Searches, prints the best and how the search came to it, and draws its course."""
    args = arguments()
    corpus = load_corpus(args.tunes)
    melodies = Melodies.from_data(corpus.train, corpus.validation, VOCAB_SIZE)

    def validation_loss(params: dict[str, float]) -> float:
        model_params, training_params = model_and_training_params(params)
        epochs = train(
            lambda: build_model(SonicLSTM, melodies.vocabulary, model_params),
            OutputKind.LAST_POSITION,
            melodies,
            TrainingSettings(num_epochs=args.epochs, **training_params),
            device=torch.device("cpu"),
            seed=args.seed,
        )
        return min(epoch.loss for epoch in epochs)

    def tell(result: OptimizationResult) -> None:
        y = result.y_observed
        print(f"evaluation {len(y)}: {y[-1]:.4f} nats per note, best {result.best_value:.4f}")

    result = bayesian_optimization(
        validation_loss,
        BOUNDS,
        n_iterations=args.iterations,
        min_expected_gain=args.min_gain,
        seed=args.seed,
        callback=tell,
    )
    print()
    print(result)
    convergence, regret = result.convergence, result.convergence.regret_left
    print(f"best at evaluation: {convergence.best_iteration}")
    print(f"converged at evaluation: {convergence.iterations_to_convergence}")
    print(f"improvement an evaluation: {convergence.improvement_per_iteration:.4f} nats per note")
    if regret is not None:
        print(
            f"regret left, as the model expects it: {regret.estimate:.4f} nats per note, "
            f"95 % interval [{regret.low:.4f}, {regret.high:.4f}]"
        )
    plot_optimization_trajectory(*result, path=args.plot)
    print(f"course of the search: {args.plot}")


if __name__ == "__main__":
    main()
