"""The shipped corpus: tunes of the 18th and 19th century, described in `CORPUS.md`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import IntArray, Tokens, encode_pitches


@dataclass(frozen=True)
class Split:
    """Training, validation and test tunes, one array of shape (n_notes,) a tune."""

    train: list[IntArray]
    validation: list[IntArray]
    test: list[IntArray]


@dataclass(frozen=True)
class Corpus:
    """Split tunes with pitches and durations, note by note.

    `split_tunes` gives the tunes of `load_tunes` the same form.

    Attributes:
        pitches: Tokens 0..87; `decode_pitches` gives MIDI pitches.
        durations: Ticks, 480 to a quarter note.
    """

    pitches: Split
    durations: Split

    @property
    def notes(self) -> Split:
        """Pitch token and ticks of each note: arrays of shape (n_notes, 2)."""
        p, d = self.pitches, self.durations
        return Split(
            _stack(p.train, d.train),
            _stack(p.validation, d.validation),
            _stack(p.test, d.test),
        )

    def split(self, tokens: Tokens) -> Split:
        """The tunes in the form of a search with such tokens."""
        return self.notes if tokens == "pitch_duration" else self.pitches

    @property
    def train(self) -> list[IntArray]:
        """Pitch tokens of the training tunes."""
        return self.pitches.train

    @property
    def validation(self) -> list[IntArray]:
        """Pitch tokens of the validation tunes."""
        return self.pitches.validation

    @property
    def test(self) -> list[IntArray]:
        """Pitch tokens of the test tunes."""
        return self.pitches.test


def count_corpus() -> int:
    """Number of tunes in the shipped corpus."""
    return len(_arrays("lengths")["lengths"])


def load_corpus(n_tunes: int | None = None, seed: int = 0) -> Corpus:
    """Loads the shipped tunes, or a random part of them, in the split fixed in the file.

    Args:
        n_tunes: Number of tunes before the split; all if None.
        seed: Draws one order of all tunes, of which the first `n_tunes` are taken, so that
            each list of a smaller part begins the same list of a larger one.

    Raises:
        DataError: If `n_tunes` is below 1 or more than there are.
        DataError: If so few tunes were asked for that train, validation or test is empty.
    """
    arrays = _arrays()
    total = len(arrays["lengths"])
    if n_tunes is not None and not 1 <= n_tunes <= total:
        raise DataError(
            f"n_tunes must lie in 1..{total}, the tunes of the corpus, but got {n_tunes}. "
            "Use n_tunes=None for all of them."
        )
    chosen = np.random.default_rng(seed).permutation(total)[:n_tunes]
    part_of_tune = arrays["split"][chosen]
    for part, name in enumerate(("train", "validation", "test")):
        if part not in part_of_tune:
            raise DataError(
                f"the {name} part has no tune with n_tunes={n_tunes} and seed={seed}. "
                f"Ask for more tunes, such as n_tunes=100."
            )
    bounds = np.concatenate([[0], np.cumsum(arrays["lengths"], dtype=np.int64)]).tolist()

    def divide(notes: IntArray) -> Split:
        parts = (chosen[part_of_tune == part].tolist() for part in range(3))
        return Split(*([notes[bounds[i] : bounds[i + 1]] for i in part] for part in parts))

    return Corpus(
        pitches=divide(encode_pitches(arrays["pitches"])),
        durations=divide(arrays["ticks"][arrays["duration_codes"]].astype(np.int64)),
    )


def _arrays(*names: str) -> dict[str, IntArray]:
    """The arrays of the shipped file by name; all of them where no names are given."""
    with (resources.files(__package__) / "corpus.npz").open("rb") as file, np.load(file) as data:
        return {name: data[name] for name in names or data.files}


def _stack(pitches: list[IntArray], durations: list[IntArray]) -> list[IntArray]:
    return [np.stack(lines, axis=1) for lines in zip(pitches, durations, strict=True)]
