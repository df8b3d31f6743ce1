"""Comparison of generated melodies with human-composed ones: measures of both, and copies.

Held-out human-composed melodies share runs of notes with the training tunes, too. Only what a
model copies beyond that counts as copying.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.errors import DataError
from chromasonic.melody_generation.data.sequences import check_sequences
from chromasonic.melody_generation.data.vocabulary import IntArray
from chromasonic.melody_generation.listening.measures import (
    N_MIDI_PITCHES,
    Copy,
    Floats,
    duration_entropy,
    interval_shares,
    longest_copies,
    mean_interval,
    notes_per_quarter,
    pitch_class_entropy,
    pitch_range,
    scale_consistency,
    self_repetition,
)

_OF_PITCHES: dict[str, Callable[[IntArray], float]] = {
    "pitch_class_entropy": pitch_class_entropy,
    "scale_consistency": scale_consistency,
    "mean_interval": mean_interval,
    "pitch_range": pitch_range,
    "self_repetition": self_repetition,
}
_OF_DURATIONS: dict[str, Callable[[IntArray], float]] = {
    "duration_entropy": duration_entropy,
    "notes_per_quarter": notes_per_quarter,
}


class Summary(NamedTuple):
    """A measure over a set of melodies.

    Attributes:
        mean: Over the melodies.
        spread: Standard deviation between them; None for a single one.
        n_melodies: Number of melodies long enough to have the measure.
    """

    mean: float
    spread: float | None
    n_melodies: int


@dataclass(frozen=True)
class Measures:
    """All measures of a set of melodies.

    Attributes:
        n_melodies: Number of melodies.
        summaries: By name; measures that no melody has are left out.
        interval_shares: The mean share of each interval from -12 to 12, shape (25,).
        copies: The longest run of each melody that occurs in a training tune; empty if there
            were no training tunes.
    """

    n_melodies: int
    summaries: dict[str, Summary]
    interval_shares: Floats
    copies: list[Copy]


@dataclass(frozen=True)
class Row:
    """One measure of both sets.

    Attributes:
        measure: Its name.
        generated: Its mean over the generated melodies.
        people: Its mean over human-composed ones.
        spread: Standard deviation between human-composed melodies; None for a single one.
        standard_error: That of the difference of the means; None if either set is a single one.
    """

    measure: str
    generated: float
    people: float
    spread: float | None
    standard_error: float | None


@dataclass(frozen=True)
class MelodyComparison:
    """Measures of generated and of human-composed melodies, all of one length.

    Attributes:
        n_notes: That length.
        n_generated: Number of generated melodies compared.
        n_people: Number of human-composed ones.
        rows: One for each measure that both sets have.
        copied_share: The share of generated melodies that share a longer run with the training
            tunes than 95% of people's do; None if there were no training tunes.
    """

    n_notes: int
    n_generated: int
    n_people: int
    rows: list[Row]
    copied_share: float | None


@own_arithmetic()
def measure(melodies: Any, durations: Any = None, *, training: Any = None) -> Measures:
    """All measures of a set of melodies.

    Args:
        melodies: Pitches, MIDI or tokens, shape (n_notes,) each, at least 2 notes.
        durations: Ticks, 480 to a quarter, in the same shapes; None leaves their measures out.
        training: Pitches of the tunes from which runs may have been copied.

    Raises:
        DataError: If melodies, durations or training tunes cannot be used.
    """
    pitches = check_sequences(melodies, N_MIDI_PITCHES, "melodies")
    values = {name: [of(tune) for tune in pitches] for name, of in _OF_PITCHES.items()}
    if durations is not None:
        ticks = _check_durations(durations, pitches)
        values |= {name: [of(tune) for tune in ticks] for name, of in _OF_DURATIONS.items()}
        values["rhythmic_repetition"] = list(map(self_repetition, pitches, ticks))
    copies = [] if training is None else longest_copies(pitches, training)
    if copies:
        values["longest_copy"] = [copy.n_notes for copy in copies]
    summaries = {name: _summarize(np.array(of_each)) for name, of_each in values.items()}
    return Measures(
        n_melodies=len(pitches),
        summaries={name: summary for name, summary in summaries.items() if summary.n_melodies},
        interval_shares=np.mean([interval_shares(tune) for tune in pitches], axis=0),
        copies=copies,
    )


@own_arithmetic()
def compare(
    generated: Any,
    people: Any,
    *,
    generated_durations: Any = None,
    people_durations: Any = None,
    training: Any = None,
    n_notes: int | None = None,
) -> MelodyComparison:
    """Compares generated melodies with human-composed ones by all measures.

    Args:
        generated: Pitches, MIDI or tokens, shape (n_notes,) each, at least 2 notes.
        people: Pitches of melodies that the model was not trained on.
        generated_durations: Ticks, 480 to a quarter.
        people_durations: The same of people's. Rhythm is compared only if both are given.
        training: Pitches of the tunes that the model was trained on.
        n_notes: The length to which all melodies are cut; shorter ones are left out, since
            longer ones repeat and copy more. By default the lesser of the two median lengths.

    Raises:
        DataError: If any of these cannot be used, or no melody of a set has `n_notes` notes.
    """
    own = check_sequences(generated, N_MIDI_PITCHES, "generated")
    others = check_sequences(people, N_MIDI_PITCHES, "people")
    if n_notes is None:
        n_notes = min(int(np.median([len(tune) for tune in tunes])) for tunes in (own, others))
    by_model, by_people = (
        _measure_cut(tunes, durations, training, n_notes, name)
        for tunes, durations, name in (
            (own, generated_durations, "generated"),
            (others, people_durations, "people"),
        )
    )
    return MelodyComparison(
        n_notes=n_notes,
        n_generated=by_model.n_melodies,
        n_people=by_people.n_melodies,
        rows=[
            _row(name, summary, by_people.summaries[name])
            for name, summary in by_model.summaries.items()
            if name in by_people.summaries
        ],
        copied_share=_copied_share(by_model.copies, by_people.copies),
    )


def _measure_cut(
    melodies: list[IntArray], durations: Any, training: Any, n_notes: int, name: str
) -> Measures:
    """The measures of the first `n_notes` of each melody that has as many."""
    chosen = [i for i, tune in enumerate(melodies) if len(tune) >= n_notes]
    if not chosen or n_notes < 2:
        longest = max(map(len, melodies))
        raise DataError(
            f"n_notes must be from 2 to {longest}, the length of the longest melody of {name}, "
            f"but got {n_notes}. Leave it out for the median length."
        )
    if durations is not None:
        ticks = _check_durations(durations, melodies)
        durations = [ticks[i][:n_notes] for i in chosen]
    return measure([melodies[i][:n_notes] for i in chosen], durations, training=training)


def _check_durations(durations: Any, melodies: Sequence[IntArray]) -> list[IntArray]:
    arrays = [np.asarray(ticks) for ticks in durations]
    if [ticks.shape for ticks in arrays] != [tune.shape for tune in melodies]:
        raise DataError(
            "durations must have one number for each note of each melody, but their shapes "
            "differ. Pass the durations of the same melodies, in their order."
        )
    for index, ticks in enumerate(arrays):
        if ticks.dtype.kind not in "iu" or ticks.min() < 1:
            raise DataError(
                f"durations must be whole numbers of ticks above 0, but those of melody {index} "
                f"hold {ticks.min()} ({ticks.dtype}). Round them, and leave rests out."
            )
    return arrays


def _summarize(values: Floats) -> Summary:
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if len(known) else np.nan
    spread = float(known.std(ddof=1)) if len(known) > 1 else None
    return Summary(mean, spread, len(known))


def _row(name: str, generated: Summary, people: Summary) -> Row:
    error = None
    if generated.spread is not None and people.spread is not None:
        variance = generated.spread**2 / generated.n_melodies
        error = (variance + people.spread**2 / people.n_melodies) ** 0.5
    return Row(name, generated.mean, people.mean, people.spread, error)


def _copied_share(generated: Sequence[Copy], people: Sequence[Copy]) -> float | None:
    """Share of generated melodies whose longest copy exceeds 95% of the human-composed ones."""
    if not generated:
        return None
    threshold = np.quantile([copy.n_notes for copy in people], 0.95, method="inverted_cdf")
    return float(np.mean([copy.n_notes > threshold for copy in generated]))
