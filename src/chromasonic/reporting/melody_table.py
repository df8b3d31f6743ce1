"""Table of measures of generated melodies beside people's, in text and Markdown."""

from collections.abc import Mapping
from typing import Any

_TITLES = ["measure", "generated", "people", "difference", "in spreads"]
_NAMES = {
    "pitch_class_entropy": "pitch-class entropy (bits)",
    "scale_consistency": "scale consistency",
    "mean_interval": "mean interval (semitones)",
    "pitch_range": "range (semitones)",
    "self_repetition": "self-repetition",
    "duration_entropy": "duration entropy (bits)",
    "notes_per_quarter": "notes a quarter",
    "rhythmic_repetition": "self-repetition with rhythm",
    "longest_copy": "longest run from training (notes)",
}


def table_lines(comparison: Mapping[str, Any]) -> list[str]:
    """Lines of the table: a row for each measure, notes below.

    Args:
        comparison: A `MelodyComparison` of `melody_generation` as `dataclasses.asdict` gives it.
    """
    rows = [_TITLES, *map(_cells, comparison["rows"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = [_line(row, widths) for row in rows]
    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:]), ""])
    return [head, rule, *body, "", *_notes(comparison)]


def _cells(row: Mapping[str, Any]) -> list[str]:
    difference = row["generated"] - row["people"]
    error, spread = row["standard_error"], row["spread"]
    return [
        _NAMES.get(row["measure"], row["measure"]),
        f"{row['generated']:.3f}",
        f"{row['people']:.3f}",
        f"{difference:+.3f}" + ("" if error is None else f" ± {2 * error:.3f}"),
        # Adding 0 makes plain zeros of negative ones.
        f"{round(difference / spread, 1) + 0.0:+.1f}" if spread else "",
    ]


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    aligned = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return "| " + " | ".join(aligned) + " |"


def _notes(comparison: Mapping[str, Any]) -> list[str]:
    notes = [
        f"{comparison['n_generated']} generated melodies and {comparison['n_people']} of "
        f"people's, {comparison['n_notes']} notes each.",
        "After ± stand two standard errors of the difference. A spread is the standard deviation "
        "between people's melodies.",
    ]
    if comparison["copied_share"] is not None:
        notes.append(
            f"{comparison['copied_share']:.0%} of the generated melodies share a longer run with "
            "the training tunes than 95% of people's do."
        )
    return notes
