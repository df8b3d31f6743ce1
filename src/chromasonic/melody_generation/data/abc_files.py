"""Reads all tunes of an ABC file from strangers, each with its own reason if it is no use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.abc import read_tune, split_abc
from chromasonic.melody_generation.data.melody_line import MelodyLine
from chromasonic.melody_generation.data.tune_report import UnusableTune

MOST_TUNES = 100_000
MOST_CHARACTERS_OF_A_TUNE = 100_000
# A real tune has a handful of denominators, and fewer broken rhythms than notes. Without bounds
# the exact lengths of a hostile one grow to fractions of a million digits.
_MOST_DENOMINATORS = 30
_MOST_BROKEN_RHYTHMS = 1000
# Over such lines the reader's patterns take time that grows with the square of their length.
_MOST_CHARACTERS_OF_A_LINE = 5000
_RUNAWAY = re.compile(r"[_^=]{100}|(?:\[[^\[\]\n]*){50}")


def read_abc_file(content: bytes) -> Iterator[MelodyLine | UnusableTune]:
    """The melody of each tune, in the order of the file, or why it cannot be used.

    Raises:
        UnusableTune: If there are more than 100,000 tunes in the file.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if text.count("\nX:") >= MOST_TUNES:
        raise UnusableTune("too large", f"more than {MOST_TUNES} tunes in one file")
    for tune in split_abc(text):
        try:
            yield _read(tune)
        except UnusableTune as error:
            yield error


def _read(text: str) -> MelodyLine:
    if len(text) > MOST_CHARACTERS_OF_A_TUNE:
        raise UnusableTune("too large", f"more than {MOST_CHARACTERS_OF_A_TUNE} characters")
    longest_line = max(map(len, text.splitlines()), default=0)
    if longest_line > _MOST_CHARACTERS_OF_A_LINE or _RUNAWAY.search(text):
        raise UnusableTune("not ABC", "a line of over 5000 characters, or signs without end")
    many_lengths = len(set(re.findall(r"/(\d+)", text))) > _MOST_DENOMINATORS
    if many_lengths or text.count("<") + text.count(">") > _MOST_BROKEN_RHYTHMS:
        raise UnusableTune("bad numbers", "too many different lengths of notes")
    try:
        tune = read_tune(text)
    except (DataError, OverflowError) as error:
        raise UnusableTune("not ABC", str(error).rstrip(".")) from None
    return MelodyLine(tune.pitches.tolist(), tune.durations.tolist())
