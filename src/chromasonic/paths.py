"""Paths as the user means them."""

from os import PathLike
from pathlib import Path


def expand_home(path: str | PathLike[str]) -> Path:
    """The path with a leading `~` or `~name` replaced by that home folder, if there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        # No such user, or no home: then it is a name like any other.
        return Path(path)


def user_path(path: str | PathLike[str]) -> Path:
    """The same, from the root: it stays what it is wherever the working directory moves later."""
    return expand_home(path).absolute()
