"""The search of a small LSTM on made-up melodies, whose steps may go wrong."""

import multiprocessing
import sys

import mischief
import torch

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer
from chromasonic.errors import ChromasonicError
from chromasonic.melody_generation.data.synthetic import create_training_data
from chromasonic.melody_generation.hyperparameter_search import (
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
)
from chromasonic.melody_generation.models import LSTMMelodyModel

SPACE = {
    "learning_rate": Float(1e-3, 1e-1, log=True),
    "batch_size": Categorical([8, 16]),
    "hidden_size": Integer(8, 24),
    "embedding_dim": Fixed(8),
}


class Trickster(LSTMMelodyModel):
    def forward(self, tokens):
        logits = super().forward(tokens)
        # The check of the model before the search is no part of a trial: it runs in the driver.
        in_a_trial = self.training and multiprocessing.parent_process() is not None
        instead = mischief.happen() if in_a_trial else None
        return logits if instead is None else logits * instead


def main(output_dir, n_trials, seed, *options):
    torch.set_num_threads(1)
    train, validation = create_training_data(80, 24, 88, 0.8, 0)
    space = HyperparameterSearchSpace(num_epochs=4)
    for name, parameter in SPACE.items():
        space = space.with_parameter(name, parameter)
    space = space.fixed(num_layers=1, dropout=0.0)
    optimizer = HyperparameterOptimizer(Trickster, space, "cpu", output_dir)
    result = optimizer.optimize(
        train,
        validation,
        88,
        n_trials=int(n_trials),
        seed=int(seed),
        jobs=2,
        memory_limit="1500MB",
        stall_timeout=20.0,
        storage=options[0] if options else None,
    )
    sys.exit(130 if result.stopped_by == "interrupted" else 0)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ChromasonicError as foreseen:
        # As the command line says it.
        sys.exit(f"error: {foreseen}")
