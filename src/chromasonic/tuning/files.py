"""Files and folders: written whole or not at all, and read with a bound."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

LARGEST_TEXT = 2**28
"""Bytes of the largest text file that is read, 256 MB."""

_PREFIX = ".unfinished-"


@contextmanager
def unfinished_folder(beside: Path) -> Iterator[Path]:
    """A new folder beside a path, with a random name, deleted when the block ends.

    Nobody else can have made it or put a link into it before, so that what is written there can
    neither be read nor redirected by others. It is on the same file system as the path.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{_PREFIX}{os.getpid()}-{beside.name}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=beside.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_unfinished(folder: Path) -> None:
    """Deletes what processes that were killed while they wrote have left in a folder."""
    for path in folder.glob(f"{_PREFIX}*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        is_abandoned = pid.isdecimal() and not psutil.pid_exists(int(pid))
        if is_abandoned and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Has `write` fill a file that then becomes `path` at once.

    A reader, or a crash, sees the old file or the new one, never half of one. Of several writers
    at the same time the last one wins.

    Source: renaming one file over another is atomic (POSIX.1, rename).
    """
    with unfinished_folder(path) as folder:
        # The name stays, since some writers choose a format by its ending.
        unfinished = folder / path.name
        write(unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` as `write_whole` does."""
    write_whole(path, lambda unfinished: _write(unfinished, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def read_bounded(path: Path, most_bytes: int = LARGEST_TEXT) -> bytes:
    """The contents of a regular file; a pipe or a device does not block.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It is no regular file, is larger than `most_bytes`, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is not a regular file")
        if status.st_size > most_bytes:
            raise OSError(f"{path.name} is larger than {most_bytes // 2**20} MB")
        return file.read(most_bytes)


def read_bounded_text(path: Path, most_bytes: int = LARGEST_TEXT) -> str:
    """The text of a regular UTF-8 file; see `read_bounded`.

    Raises:
        OSError: As `read_bounded`.
        ValueError: It is not UTF-8.
    """
    return read_bounded(path, most_bytes).decode("utf-8")


def read_bounded_json(path: Path) -> Any:
    """The value in a regular file of JSON; see `read_bounded`.

    Raises:
        OSError: As `read_bounded`.
        ValueError: It is no JSON, or is nested too deeply to be read.
    """
    try:
        return json.loads(read_bounded_text(path))
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


def replace_folder(folder: Path, new: Path) -> None:
    """Makes `new` the folder of that name; what was there before is deleted.

    A crash leaves the old one, the new one or, for a moment, none, but never half of one.
    """
    with unfinished_folder(folder) as discarded:
        with suppress(FileNotFoundError):
            folder.rename(discarded / "old")
        new.rename(folder)
