"""Tune collections of the user's own music21 installation.

They are read where they are, never shipped. The package itself is not imported: that takes seconds
and may write into the user's home.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from chromasonic.errors import DataError, MissingExtra
from chromasonic.melody_generation.data._tune_sources import (
    MOST_BYTES_IN_ALL,
    ByteBudget,
    find_files,
)
from chromasonic.melody_generation.data.tune_files import TuneOptions, read_tunes
from chromasonic.melody_generation.data.tune_report import Tunes

Collection = Literal["essen", "bach"]

_FOLDERS: dict[Collection, str] = {"essen": "essenFolksong", "bach": "bach"}
# The one piece in the folder that is not a chorale: a prelude for keyboard.
_NO_CHORALE = "bwv846.mxl"


def load_music21(name: Collection, **options: Any) -> Tunes:
    """Loads the melodies of a collection that comes with music21, if it is installed.

    `essen` are some 8,500 folk songs, most of them German and Chinese, which may be used for
    non-commercial purposes only; the file `license.txt` beside them says more. `bach` are some
    400 chorales, of which the soprano is taken; many set the same melody, and nearly equal ones
    are kept once.

    Args:
        name: Name of the collection.
        options: Those of `load_tunes`: `min_notes`, `max_notes`, `too_long`, `outside` and
            `keep_near_duplicates`.

    Returns:
        The tunes in the order of their files' names.

    Raises:
        MissingExtra: If music21 is not installed.
        DataError: If it came without the collection.
        ValueError: If there is no such collection, or an option is out of its range.
    """
    if name not in _FOLDERS:
        known = " or ".join(get_args(Collection))
        raise ValueError(f"the name of a collection must be {known}, but got {name!r}.")
    chosen = TuneOptions(**options)
    folder = _corpus_folder() / _FOLDERS[name]
    if not folder.is_dir():
        raise DataError(
            f"music21 is installed without its corpus: there is no {folder}. "
            "Install it again: pip install --force-reinstall music21"
        )
    found = find_files(folder, ByteBudget(MOST_BYTES_IN_ALL))
    return read_tunes((file for file in found if file.name != _NO_CHORALE), folder.name, chosen)


def _corpus_folder() -> Path:
    spec = find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            "the collections of music21 need music21, which is not installed. "
            "Run: pip install music21"
        )
    return Path(spec.submodule_search_locations[0]) / "corpus"
