"""Recurrent melody models: embedding, body, head.

B: tunes in a batch. T: notes in a tune. V: size of the vocabulary.
"""

from typing import Any

from torch import Tensor, nn

from chromasonic.melody_generation.models.melody_model import MelodyModel


class _RecurrentMelodyModel(MelodyModel):
    """Reads a tune note by note and, after each, scores every possible next note."""

    body_class: type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]
    # Gates that start well apart for different notes train faster and end lower.
    embedding_scale = 2.0

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 64,
        hidden_size: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        """Build a model with fresh weights from torch's global generator.

        Args:
            vocab_size: Number of tokens V.
            embedding_dim: Width of the vector that stands for a token.
            hidden_size: Width of each recurrent layer.
            num_layers: Number of recurrent layers.
            dropout: Share of activations dropped in training, in [0, 1): after the
                embedding, between layers and before the head.
        """
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.body = self.body_class(
            embedding_dim,
            hidden_size,
            num_layers,
            batch_first=True,
            # torch warns of dropout in a single layer, which has nothing between layers.
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.head = nn.Linear(hidden_size, vocab_size)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=self.embedding_scale)
        initialize_recurrent(self.body)

    def read(self, embedded: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Hidden values after each note, shape (B, T, hidden_size), and the last state."""
        hidden, state = self.body(self.dropout(embedded), state)
        return self.dropout(hidden), state


class RNNMelodyModel(_RecurrentMelodyModel):
    """A plain recurrent network with tanh units."""

    body_class = nn.RNN
    embedding_scale = 1.0


class GRUMelodyModel(_RecurrentMelodyModel):
    """Gated recurrent units; on a CPU slower than the LSTM, which has a fused kernel."""

    body_class = nn.GRU


class LSTMMelodyModel(_RecurrentMelodyModel):
    """Long short-term memory: the model to start with."""

    body_class = nn.LSTM


def initialize_recurrent(body: nn.RNNBase) -> None:
    """Initializes a recurrent body's weights in place.

    Input weights are Glorot uniform and recurrent weights orthogonal, gate by gate; biases are
    0, but for the forget gate of an LSTM, which starts open at 1.

    Source: Saxe et al. (2014), orthogonal weights; Jozefowicz et al. (2015), forget bias.
    """
    width = body.hidden_size
    for name, parameter in body.named_parameters():
        for gate in parameter.detach().chunk(len(parameter) // width):
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate)
            else:
                nn.init.zeros_(gate)
        if isinstance(body, nn.LSTM) and name.startswith("bias_ih"):
            # torch stacks the gates as input, forget, cell, output.
            nn.init.ones_(parameter.detach()[width : 2 * width])
