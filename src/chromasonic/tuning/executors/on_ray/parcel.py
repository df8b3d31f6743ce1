"""A checkpoint as bytes, to be sent between machines that share no disk."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from uuid import uuid4

from filelock import FileLock, Timeout

from chromasonic.tuning.checkpoints import latest_checkpoint, save_checkpoint
from chromasonic.tuning.learning_curve import EpochRow

PREFIX = "chromasonic-trial-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new empty folder, deleted in the end.

    A process that is killed cannot do that. Whoever makes the next folder on the same machine
    does it then: the lock beside a folder is free once its owner is gone.
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
        # Those of other users are theirs to sweep.
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
"""What a folder holds, by path below it with `/` between its parts; None for a folder."""


@dataclass(frozen=True)
class Parcel:
    """A checkpoint on its way.

    Attributes:
        epochs: The learning curve up to it.
        files: What `Epoch.save` wrote.
    """

    epochs: tuple[EpochRow, ...]
    files: Files


def pack(folder: Path) -> Files:
    """All that a folder holds."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def unpack(files: Files, folder: Path) -> None:
    """Writes into a folder what another one held.

    Raises:
        ValueError: A file would come to lie outside; nothing has been written then.
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


def pack_checkpoint(folder: Path, after: int = 0) -> Parcel | None:
    """The newest checkpoint of a trial, if it was saved after more than so many epochs."""
    folder_and_epochs = latest_checkpoint(folder)
    if folder_and_epochs is None or len(folder_and_epochs[1]) <= after:
        return None
    checkpoint, epochs = folder_and_epochs
    return Parcel(epochs, pack(checkpoint))


def unpack_checkpoint(parcel: Parcel, folder: Path) -> Path:
    """The folder of a checkpoint that came from elsewhere, written as if it came from here."""
    return save_checkpoint(folder, parcel.epochs, partial(unpack, parcel.files))
