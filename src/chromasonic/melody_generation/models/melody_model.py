"""Base class of the built-in melody models: embedding, body, head.

B: tunes in a batch. T: notes in a tune. E: width of the embedding. H: width of the hidden values.
V: number of tokens.
"""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn


class MelodyModel(nn.Module):
    """Embeds notes, reads them in order, and scores every possible next note.

    Attributes:
        embedding: A vector of width E for each token.
        head: From width H to the logits of all tokens.
    """

    embedding: nn.Embedding
    head: nn.Linear

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the note that follows, shape (B, T, V), or (B, V) after the last one alone.

        Args:
            tokens: Notes, int64, shape (B, T).
        """
        hidden, _ = self.read(self.embedding(tokens))
        logits: Tensor = self.head(hidden)
        return logits

    @abstractmethod
    def read(self, embedded: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Hidden values after each note, or after the last one, and the state to continue from.

        Args:
            embedded: Embedded notes, shape (B, T, E).
            state: As an earlier call returned it for the notes before these.

        Returns:
            Shape (B, T, H), or (B, H) of models that predict only the last note; and the state.
        """
