"""By what names the melody is known among the tracks or parts of a piece."""

import re

# The better clues come first.
_MELODY_NAMES = [
    re.compile(clue, re.IGNORECASE)
    for clue in (r"melod", r"\blead\b|vocal|\bvox\b|\bvoice", r"\bsolo|sopran|\bcant[ou]|\bsing")
]
_NO_MELODY_NAME = re.compile(r"back|harmon|accomp|aah|ooh|choir|chorus|drum|bass\b", re.IGNORECASE)

UNNAMED = len(_MELODY_NAMES)
"""The rank of a name that says nothing of a melody."""


def melody_rank(name: str) -> int:
    """How well the name of a track or part fits the melody: 0 best, `UNNAMED` not at all."""
    if _NO_MELODY_NAME.search(name):
        return UNNAMED
    fitting = (rank for rank, clue in enumerate(_MELODY_NAMES) if clue.search(name))
    return next(fitting, UNNAMED)
