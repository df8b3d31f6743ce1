"""Sources of melodies, described so that the same ones can be loaded again after a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.corpus import (
    Corpus,
    Split,
    count_corpus,
    load_corpus,
)
from chromasonic.melody_generation.data.music21_tunes import Collection, load_music21
from chromasonic.melody_generation.data.synthetic import create_training_data
from chromasonic.melody_generation.data.tune_files import load_tunes
from chromasonic.melody_generation.data.tune_report import Tunes
from chromasonic.melody_generation.data.tune_split import first_tunes, split_tunes
from chromasonic.melody_generation.data.vocabulary import VOCAB_SIZE, Tokens
from chromasonic.paths import user_path

CORPUS, SYNTHETIC, MUSIC21 = "corpus", "synthetic", "music21:"

_MOST_LINES = 5
_SYNTHETIC_LENGTH = 32
_TRAIN_SHARE = 0.8


@dataclass(frozen=True)
class DataSource:
    """Source of a set of melodies.

    Attributes:
        source: `corpus`, `synthetic`, `music21:essen`, `music21:bach`, or the path of a folder,
            zip or file of tunes.
        tokens: Encoding of a note.
        n_sequences: Number of melodies before the split; all if None.
        seed: Seed of their selection, generation or split.
        options: Further arguments of `load_tunes`.
    """

    source: str = CORPUS
    tokens: Tokens = "pitch_duration"
    n_sequences: int | None = 500
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.source == SYNTHETIC and self.tokens != "pitch":
            raise DataError("synthetic melodies have no rhythm. Use --tokens pitch.")
        if self.source.startswith(MUSIC21) and self._collection not in get_args(Collection):
            known = " or ".join(f"{MUSIC21}{name}" for name in get_args(Collection))
            raise DataError(f"a collection of music21 must be {known}, but got {self.source}.")

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> DataSource:
        """The source in a search's `data`.

        Raises:
            DataError: The melodies were passed in Python, without a source.
        """
        known = {name: described[name] for name in cls.__dataclass_fields__ if name in described}
        if "source" not in known:
            raise DataError(
                "the melodies of this search were passed in Python, so that they cannot be loaded "
                "again here. Call train_final_model, build_ensemble or generate from Python."
            )
        return cls(**known)

    def describe(self) -> dict[str, Any]:
        """Values for JSON; a path becomes absolute."""
        described = asdict(self)
        if self.reads_files and not self.source.startswith(MUSIC21):
            described["source"] = str(user_path(self.source).resolve())
        return described

    @property
    def _collection(self) -> Any:
        return self.source.removeprefix(MUSIC21)

    @property
    def reads_files(self) -> bool:
        """True where the melodies are read from files, to which the options apply."""
        return self.source not in (CORPUS, SYNTHETIC)

    def load(self) -> tuple[Split, list[str]]:
        """Loads the melodies in three parts, and lines about them for the user.

        Raises:
            DataError: No melodies were found, or they cannot be read.
        """
        if self.source == SYNTHETIC:
            return self._make_synthetic(), []
        if self.source == CORPUS:
            return self._load_corpus()
        corpus, lines = self._load_user_tunes()
        return corpus.split(self.tokens), lines

    def _load_corpus(self) -> tuple[Split, list[str]]:
        total = count_corpus()
        if self.n_sequences is None or self.n_sequences <= total:
            return load_corpus(self.n_sequences, self.seed).split(self.tokens), []
        split = load_corpus(None, self.seed).split(self.tokens)
        return split, [f"corpus: all {total} tunes, the most there are"]

    def _load_user_tunes(self) -> tuple[Corpus, list[str]]:
        if self.source.startswith(MUSIC21):
            tunes = load_music21(self._collection, **self.options)
        else:
            tunes = load_tunes(self.source, **self.options)
        lines = [f"{self.source}: {tunes.summary()}", *_skipped_lines(tunes)]
        lines += _mended_lines(tunes)
        n_kept = len(tunes.names)
        if self.n_sequences is not None and n_kept > self.n_sequences:
            tunes = first_tunes(tunes, self.n_sequences, self.seed)
            lines.append(f"using {self.n_sequences} of {n_kept}; --n-sequences {n_kept} uses all")
        return split_tunes(tunes, self.seed), lines

    def _make_synthetic(self) -> Split:
        """Synthetic melodies, with separate ones for the test."""
        count = 500 if self.n_sequences is None else self.n_sequences
        train, validation = create_training_data(
            count, _SYNTHETIC_LENGTH, VOCAB_SIZE, _TRAIN_SHARE, self.seed
        )
        _, test = create_training_data(
            2 * len(validation), _SYNTHETIC_LENGTH, VOCAB_SIZE, 0.5, self.seed + 1
        )
        return Split(train, validation, test)


def _skipped_lines(tunes: Tunes) -> list[str]:
    return _first_lines(
        [f"{s.name}: {s.reason}" + (f" ({s.detail})" if s.detail else "") for s in tunes.skipped]
    )


def _mended_lines(tunes: Tunes) -> list[str]:
    changes: dict[str, list[str]] = {}
    for repair in tunes.repairs:
        changes.setdefault(repair.name, []).append(repair.change)
    return _first_lines(
        [
            f"{name}: {mended.n_mended} of {mended.n_notes} notes mended"
            f" ({', '.join(changes[name])})"
            for name, mended in tunes.much_mended().items()
        ]
    )


def _first_lines(lines: list[str]) -> list[str]:
    """The first few lines, and the number of the others."""
    shown = [f"  {line}" for line in lines[:_MOST_LINES]]
    n_more = len(lines) - len(shown)
    return [*shown, f"  and {n_more} more"] if n_more else shown
