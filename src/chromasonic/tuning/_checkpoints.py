"""Checkpoints on disk, written whole or not at all.

`<folder>/epoch-<n>/` holds what `Epoch.save` wrote after epoch n, and `epochs.json`, the
learning curve up to there.
"""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from chromasonic.errors import StudyError
from chromasonic.tuning.files import read_bounded_json, write_text
from chromasonic.tuning.learning_curve import EpochRow, curve_from_json, curve_to_json
from chromasonic.tuning.stored import StoredRow, path_inside, require_stored


def save_checkpoint(
    folder: Path, epochs: Sequence[EpochRow], save: Callable[[Path], None]
) -> Path:
    """Writes a checkpoint, deletes older ones of the same trial, and returns the new folder."""
    target = folder / f"epoch-{len(epochs)}"
    if target.exists():
        return target
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save(unfinished)
    write_text(unfinished / "epochs.json", json.dumps(curve_to_json(epochs)))
    unfinished.rename(target)
    for other in _checkpoints(folder):
        if other != target:
            _delete(other)
    return target


def latest_checkpoint(folder: Path) -> tuple[Path, tuple[EpochRow, ...]] | None:
    """The newest checkpoint of a trial and its learning curve, or None if there is none.

    One whose learning curve cannot be read any more, or is that of other epochs, is none.
    """
    for checkpoint in reversed(_checkpoints(folder)):
        with suppress(OSError, ValueError, StudyError):
            read = read_bounded_json(checkpoint / "epochs.json")
            require_stored(read, list[StoredRow], "the learning curve")
            rows = curve_from_json(read)
            epochs = [row.epoch for row in rows]
            if epochs == list(range(1, _number(checkpoint) + 1)):
                return checkpoint, rows
    return None


def discard_checkpoints(folder: Path) -> None:
    """Deletes the checkpoints of a trial; at no moment does half a checkpoint look whole."""
    for checkpoint in _checkpoints(folder):
        _delete(checkpoint)
    shutil.rmtree(folder, ignore_errors=True)


class CheckpointFolders:
    """Checkpoint folders of the trials of one study.

    Args:
        root: Holds a folder for each unfinished trial; None to keep no checkpoints.
        identity: Tells the study from others in the same place, whose trials have equal numbers.
    """

    def __init__(self, root: Path | None, identity: str) -> None:
        self._root = root
        self._identity = identity

    def of(self, number: int) -> Path | None:
        """The folder of a trial, which need not be there.

        Raises:
            StudyError: A link leads out of the folder of checkpoints.
        """
        return self._root and path_inside(self._root, str(number), self._identity)

    def hold(self, number: int) -> bool:
        """True if a trial has a folder."""
        folder = self.of(number)
        return folder is not None and folder.exists()

    def latest(self, number: int) -> tuple[Path | None, tuple[EpochRow, ...]]:
        """The last checkpoint of a trial, if it has one, and its learning curve up to there."""
        folder = self.of(number)
        return (folder and latest_checkpoint(folder)) or (None, ())

    def discard(self, number: int) -> None:
        """Deletes the checkpoints of a trial."""
        folder = self.of(number)
        if folder is not None:
            discard_checkpoints(folder)
            with suppress(OSError):  # It is not there, or holds a trial of another study.
                folder.parent.rmdir()


def _delete(checkpoint: Path) -> None:
    discarded = checkpoint.with_name("discarded")
    shutil.rmtree(discarded, ignore_errors=True)
    checkpoint.rename(discarded)
    shutil.rmtree(discarded, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    # Other names, such as those of copies, are nothing of ours.
    found = [path for path in folder.glob("epoch-*") if re.fullmatch("epoch-[0-9]+", path.name)]
    return sorted(found, key=_number)


def _number(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("epoch-"))
