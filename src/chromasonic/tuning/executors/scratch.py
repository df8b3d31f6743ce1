"""Temporary folders that do not pile up, even where processes are killed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

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
