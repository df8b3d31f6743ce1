"""Training and validation melodies of a search, and their vocabulary."""

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
        train: Tokens of the training melodies, one array of shape (T,) each, T at least 2.
        validation: Tokens of the validation melodies.
        vocabulary: Meaning of the tokens.
    """

    train: Sequence[IntArray]
    validation: Sequence[IntArray]
    vocabulary: Vocabulary

    @classmethod
    def from_data(
        cls, train_data: Any, val_data: Any, vocab_size: int, tokens: Tokens = "pitch"
    ) -> Self:
        """Checks and encodes a user's melodies.

        Args:
            train_data: Melodies, each a row of tokens 0..vocab_size-1; with `pitch_duration` of
                shape (T, 2), a pitch token and a duration in ticks to each note.
            val_data: The same.
            vocab_size: Number of pitch tokens.
            tokens: Encoding of a note.

        Raises:
            DataError: A melody cannot be used; the message names it and the reason.
        """
        vocabulary = Vocabulary.of(tokens, vocab_size)
        check = check_notes if vocabulary.durations else check_sequences
        return cls(
            _encode(check(train_data, vocab_size, "train_data"), vocabulary),
            _encode(check(val_data, vocab_size, "val_data"), vocabulary),
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
        """Number of training melodies that begin with each token."""
        return dict(sorted(Counter(int(tune[0]) for tune in self.train).items()))

    @property
    def fingerprint(self) -> str:
        """Hash of all melodies and their order."""
        return data_fingerprint(self.train, self.validation)


def _encode(tunes: Sequence[IntArray], vocabulary: Vocabulary) -> list[IntArray]:
    """Encodes each tune as one row of tokens."""
    if not vocabulary.durations:
        return list(tunes)
    return [vocabulary.encode(*tune.T) for tune in tunes]
