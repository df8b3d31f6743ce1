"""The melodies of a search: what is learnt from, what is scored, and their vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from chromasonic.melody_generation.data.sequences import check_sequences, data_fingerprint
from chromasonic.melody_generation.data.vocabulary import IntArray


@dataclass(frozen=True)
class Melodies:
    """Two sets of melodies over one vocabulary.

    Attributes:
        train: Tokens of the melodies to learn from, one array of shape (T,) each, T at least 2.
        validation: Tokens of the melodies that are scored.
        vocab_size: Number of tokens; they are 0..vocab_size-1.
    """

    train: Sequence[IntArray]
    validation: Sequence[IntArray]
    vocab_size: int

    @classmethod
    def checked(cls, train_data: Any, val_data: Any, vocab_size: int) -> Self:
        """The melodies in a user's data.

        Raises:
            DataError: They cannot be used; the message says which and why.
        """
        return cls(
            check_sequences(train_data, vocab_size, "train_data"),
            check_sequences(val_data, vocab_size, "val_data"),
            vocab_size,
        )

    @property
    def longest(self) -> int:
        """Notes of the longest melody."""
        return max(map(len, [*self.train, *self.validation]))

    @property
    def fingerprint(self) -> str:
        """A hash that another set, or the same in another order, does not have."""
        return data_fingerprint(self.train, self.validation)
