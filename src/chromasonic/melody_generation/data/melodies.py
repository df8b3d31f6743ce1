"""The melodies of a search: what is learnt from, what is scored, and their vocabulary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from chromasonic.melody_generation.data.sequences import (
    check_notes,
    check_sequences,
    data_fingerprint,
)
from chromasonic.melody_generation.data.vocabulary import IntArray, Tokens, Vocabulary


@dataclass(frozen=True)
class Melodies:
    """Two sets of melodies over one vocabulary.

    Attributes:
        train: Tokens of the melodies to learn from, one array of shape (T,) each, T at least 2.
        validation: Tokens of the melodies that are scored.
        vocabulary: What the tokens stand for.
    """

    train: Sequence[IntArray]
    validation: Sequence[IntArray]
    vocabulary: Vocabulary

    @classmethod
    def checked(
        cls, train_data: Any, val_data: Any, vocab_size: int, tokens: Tokens = "pitch"
    ) -> Self:
        """The melodies in a user's data.

        Args:
            train_data: Melodies, each a row of tokens 0..vocab_size-1; with `pitch_duration` of
                shape (T, 2), a pitch token and a duration in ticks to each note.
            val_data: The same.
            vocab_size: Number of pitch tokens.
            tokens: What is made of a note.

        Raises:
            DataError: They cannot be used; the message says which and why.
        """
        vocabulary = Vocabulary.of(tokens, vocab_size)
        check = check_notes if vocabulary.durations else check_sequences
        return cls(
            _encoded(check(train_data, vocab_size, "train_data"), vocabulary),
            _encoded(check(val_data, vocab_size, "val_data"), vocabulary),
            vocabulary,
        )

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return self.vocabulary.size

    @property
    def longest(self) -> int:
        """Notes of the longest melody."""
        return max(map(len, [*self.train, *self.validation]))

    @property
    def starts(self) -> dict[int, int]:
        """How often the melodies learnt from begin with each token."""
        return dict(sorted(Counter(int(tune[0]) for tune in self.train).items()))

    @property
    def fingerprint(self) -> str:
        """A hash that another set, or the same in another order, does not have."""
        return data_fingerprint(self.train, self.validation)


def _encoded(tunes: Sequence[IntArray], vocabulary: Vocabulary) -> list[IntArray]:
    """One row of tokens a tune."""
    if not vocabulary.durations:
        return list(tunes)
    return [vocabulary.encode(*tune.T) for tune in tunes]
