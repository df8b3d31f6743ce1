"""The Sonic LSTM: two narrowing LSTMs over the last few notes.

B: contexts in a batch. T: notes in a context. V: size of the vocabulary.
"""

from typing import Any

import torch
from torch import Tensor, nn

from chromasonic.melody_generation.models.melody_model import MelodyModel
from chromasonic.melody_generation.models.recurrent import initialize_recurrent


class SonicLSTM(MelodyModel):
    """Scores the next note from the last few notes alone."""

    def __init__(
        self,
        vocab_size: int,
        lstm_units_1: int = 256,
        lstm_units_2: int = 128,
        sequence_length: int = 4,
        dropout_rate: float = 0.2,
        embedding_dim: int = 64,
    ) -> None:
        """Build a model with fresh weights from torch's global generator.

        Args:
            vocab_size: Number of tokens V.
            lstm_units_1: Width of the LSTM that reads the notes.
            lstm_units_2: Width of the LSTM that reads the first one.
            sequence_length: Most notes the model looks back on; training cuts its windows
                to this length.
            dropout_rate: Share of activations dropped in training after each LSTM, in [0, 1).
            embedding_dim: Width of the vector that stands for a token.

        Raises:
            ValueError: `sequence_length` is below 1.
        """
        if sequence_length < 1:
            raise ValueError(
                f"sequence_length must be at least 1, but got {sequence_length}. "
                "Use the number of notes to look back on, such as 4."
            )
        super().__init__()
        self.sequence_length = sequence_length
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        first = nn.LSTM(embedding_dim, lstm_units_1, batch_first=True)
        second = nn.LSTM(lstm_units_1, lstm_units_2, batch_first=True)
        self.body = nn.ModuleList((first, second))
        self.head = nn.Linear(lstm_units_2, vocab_size)
        self.dropout = nn.Dropout(dropout_rate)
        nn.init.normal_(self.embedding.weight, std=2.0)
        for lstm in (first, second):
            initialize_recurrent(lstm)

    def read(self, embedded: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Hidden values after the last note, shape (B, lstm_units_2), and the last few notes.

        Of all notes, the earlier ones in the state included, the last `sequence_length` are read.
        """
        notes = embedded if state is None else torch.cat([state, embedded], dim=1)
        hidden = last = notes[:, -self.sequence_length :]  # (B, T, embedding_dim)
        for lstm in self.body:
            hidden, _ = lstm(hidden)  # (B, T, units)
            hidden = self.dropout(hidden)
        return hidden[:, -1], last
