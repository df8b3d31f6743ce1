"""Files that are there whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Has `write` fill a file that then becomes `path` at once.

    A reader, or a crash, sees the old file or the new one, never half of one. There must be
    one writer of `path` at a time.

    Source: renaming one file over another is atomic (POSIX.1, rename).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays, since some writers choose a format by it.
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        write(unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` as `write_whole` does."""
    write_whole(path, lambda unfinished: _write(unfinished, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def replace_folder(folder: Path, new: Path) -> None:
    """Makes `new` the folder of that name; what was there before is deleted.

    A crash leaves the old one, the new one or, for a moment, none, but never half of one.
    """
    discarded = folder.with_name(f".discarded-{folder.name}")
    shutil.rmtree(discarded, ignore_errors=True)
    if folder.exists():
        folder.rename(discarded)
    new.rename(folder)
    shutil.rmtree(discarded, ignore_errors=True)
