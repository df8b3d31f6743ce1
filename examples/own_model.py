#!/usr/bin/env python3
"""The guide's complete example: a search over a model class of one's own, on synthetic melodies.

python examples/own_model.py
"""

from pathlib import Path

from torch import Tensor, nn

from chromasonic.melody_generation.hyperparameter_search import (
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
)
from chromasonic.melody_generation.training import create_training_data

VOCAB_SIZE = 88
OUTPUT_DIR = Path("hyperparameter_results")


class MyMelodyModel(nn.Module):
    """A plain LSTM; its constructor takes the vocabulary and the parameters of the space."""

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_size, num_layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, x: Tensor) -> Tensor:
        """Logits for every position, (batch, time, vocabulary)."""
        hidden, _ = self.lstm(self.embedding(x))
        logits: Tensor = self.head(self.dropout(hidden))
        return logits


def main() -> None:
    """Searches, draws the history and builds the best model."""
    train_data, val_data = create_training_data(
        num_sequences=500, sequence_length=16, vocab_size=VOCAB_SIZE, train_split=0.8
    )
    search_space = HyperparameterSearchSpace(
        learning_rate_range=(1e-4, 1e-1),
        batch_size_options=[8, 16, 32],
        hidden_size_range=(32, 128),
        num_layers_range=(1, 2),
        dropout_range=(0.0, 0.5),
        embedding_dim_range=(16, 64),
        num_epochs=10,
    )
    optimizer = HyperparameterOptimizer(
        model_class=MyMelodyModel,
        search_space=search_space,
        device="auto",
        output_dir=OUTPUT_DIR,
    )
    results = optimizer.optimize(
        train_data=train_data,
        val_data=val_data,
        vocab_size=VOCAB_SIZE,
        n_trials=10,
        study_name="my_melody_search",
    )
    optimizer.plot_optimization_history(save_path=OUTPUT_DIR / "plots.png")

    # `best_params` holds training settings, too; `model_params` is what the constructor takes.
    model = MyMelodyModel(vocab_size=VOCAB_SIZE, **results["model_params"])
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"The best model has {size:,} parameters.")


if __name__ == "__main__":
    main()
