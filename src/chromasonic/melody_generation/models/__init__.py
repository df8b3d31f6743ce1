"""Melody models with one constructor: embedding, body, head."""

from torch import nn

from chromasonic.melody_generation.models.recurrent import (
    GRUMelodyModel,
    LSTMMelodyModel,
    RNNMelodyModel,
)
from chromasonic.melody_generation.models.sonic import SonicLSTM
from chromasonic.melody_generation.models.transformer import TransformerMelodyModel

MODELS: dict[str, type[nn.Module]] = {
    "lstm": LSTMMelodyModel,
    "gru": GRUMelodyModel,
    "rnn": RNNMelodyModel,
    "transformer": TransformerMelodyModel,
    "sonic": SonicLSTM,
}

__all__ = [
    "MODELS",
    "GRUMelodyModel",
    "LSTMMelodyModel",
    "RNNMelodyModel",
    "SonicLSTM",
    "TransformerMelodyModel",
]
