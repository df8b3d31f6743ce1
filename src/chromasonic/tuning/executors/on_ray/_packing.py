"""Checkpoints as bytes, for machines that share no disk."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from uuid import uuid4

from filelock import FileLock, Timeout

from chromasonic.tuning._checkpoints import latest_checkpoint, save_checkpoint
from chromasonic.tuning.learning_curve import EpochRow

PREFIX = "chromasonic-trial-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new empty folder, deleted when the block ends.

    A killed process leaves its folder behind. The next call on the same machine deletes it: the
    lock beside a folder is free once its owner is gone.
    """
    _sweep()
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{uuid4().hex}"
    with FileLock(_lock_of(folder)):
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _delete(folder)


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Other users delete their own.
        with suppress(Timeout, OSError):
            if folder.is_dir():
                with FileLock(_lock_of(folder), timeout=0):
                    _delete(folder)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _delete(folder: Path) -> None:
    """Deletes a folder and its lock, in this order: a folder without one would look orphaned."""
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)


Files = dict[str, bytes | None]
"""Contents of files by relative path with `/` between its parts; None for a folder."""


@dataclass(frozen=True)
class PackedCheckpoint:
    """A checkpoint as bytes.

    Attributes:
        epochs: The learning curve up to it.
        files: The files that `Epoch.save` wrote.
    """

    epochs: tuple[EpochRow, ...]
    files: Files


def pack(folder: Path) -> Files:
    """The contents of a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def unpack(files: Files, folder: Path) -> None:
    """Writes packed contents into a folder.

    Raises:
        ValueError: A file would lie outside the folder; nothing has been written then.
    """
    for name in files:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name:
            raise ValueError(f"a file of a checkpoint must lie inside it, but one is {name!r}.")
    for name, content in files.items():
        path = folder / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)


def pack_checkpoint(folder: Path, after: int = 0) -> PackedCheckpoint | None:
    """The newest checkpoint of a trial; None if it has no more than `after` epochs."""
    folder_and_epochs = latest_checkpoint(folder)
    if folder_and_epochs is None or len(folder_and_epochs[1]) <= after:
        return None
    checkpoint, epochs = folder_and_epochs
    return PackedCheckpoint(epochs, pack(checkpoint))


def unpack_checkpoint(packed: PackedCheckpoint, folder: Path) -> Path:
    """Writes a packed checkpoint as `save_checkpoint` does, and returns its folder."""
    return save_checkpoint(folder, packed.epochs, partial(unpack, packed.files))
