"""Search for tune files in a folder, a zip or alone, and reading within limits.

Nothing is ever unpacked to disk, links to folders are not followed, and no more is read than the
limits allow, whatever sizes an archive declares.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, Protocol

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.tune_report import UnusableTune

MOST_BYTES_OF_A_FILE = 10_000_000
MOST_BYTES_IN_ALL = 1_000_000_000
MOST_FILES = 100_000
# A member's entry takes 46 bytes and its name.
_MOST_BYTES_OF_DIRECTORY = 200 * MOST_FILES

TUNE_SUFFIXES = (".abc", ".kar", ".mid", ".midi", ".musicxml", ".mxl", ".xml")
_ARCHIVE_SUFFIXES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip")

_UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


class FoundFile(NamedTuple):
    """A file's name with its content, or with the reason why it cannot be read."""

    name: str
    content: bytes | UnusableTune


class Readable(Protocol):
    """An open file of a folder or an archive."""

    def read(self, size: int, /) -> bytes:
        """Reads at most `size` bytes; none at the end."""
        ...


class ByteBudget:
    """Limit on the bytes read in all, counted even for files that are then skipped."""

    def __init__(self, most_bytes: int) -> None:
        self.left = most_bytes

    def read(self, file: Readable) -> bytes:
        """Reads a whole file.

        Raises:
            UnusableTune: If it holds more than 10 MB, or more than is left.
        """
        chunks: list[bytes] = []
        size = 0
        while self.left > 0 and (chunk := file.read(65_536)):
            chunks.append(chunk)
            size += len(chunk)
            self.left -= len(chunk)
            if size > MOST_BYTES_OF_A_FILE:
                raise UnusableTune("too large", f"more than {MOST_BYTES_OF_A_FILE} bytes")
        if self.left <= 0:
            raise UnusableTune("over the limit", "too many bytes in all")
        return b"".join(chunks)


def find_files(path: Path, budget: ByteBudget) -> Iterator[FoundFile]:
    """Finds and reads files with the suffix of a tune format, sorted by name, without hidden ones.

    Args:
        path: A folder, which is searched through, a zip, or one file.
        budget: Limit on the bytes read; files beyond it come with that as the reason.

    Raises:
        DataError: If there is no such path, it is of no known kind, or has too many files.
    """
    if not path.exists():
        raise DataError(f"there is no file or folder {path}. Pass the path of your tunes.")
    if path.is_dir():
        return _read_folder(path, budget)
    if path.suffix.lower() == ".zip":
        return _read_zip(path, budget)
    if path.suffix.lower() in TUNE_SUFFIXES:
        return iter([_read_found(path.name, lambda: _read_regular(path, budget))])
    known = ", ".join((*TUNE_SUFFIXES, ".zip"))
    raise DataError(f"a file of tunes must end in {known}, but got {path.name}. Convert it.")


def open_zip(file: BinaryIO, most_bytes_of_directory: int) -> zipfile.ZipFile:
    """Opens a zip after checking that its list of members fits into memory.

    Raises:
        UnusableTune: If it is not a zip, or its list is too long.
    """
    try:
        _check_directory(file, most_bytes_of_directory)
        return zipfile.ZipFile(file)
    except (*_UNREADABLE, NotImplementedError) as error:
        if isinstance(error, UnusableTune):
            raise
        raise UnusableTune("bad archive", str(error)) from None


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: ByteBudget) -> bytes:
    """Reads a member of a zip.

    Raises:
        UnusableTune: If it is damaged, encrypted, packed in an unusual way, or too large.
    """
    # Other compression methods cannot be unpacked in chunks.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnusableTune("bad archive", "compression method not supported")
    try:
        with archive.open(member) as file:
            return budget.read(file)
    except (*_UNREADABLE, NotImplementedError) as error:
        if isinstance(error, UnusableTune):
            raise
        raise UnusableTune("bad archive", str(error)) from None


def _check_directory(file: BinaryIO, most_bytes: int) -> None:
    """Raises for an archive whose list of members would fill the memory."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 65_600))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    if end >= 0 and (length > most_bytes or b"PK\6\7" in tail[:end][-20:]):
        raise UnusableTune("bad archive", "too many members. Unpack it first")
    file.seek(0)


def _read_folder(folder: Path, budget: ByteBudget) -> Iterator[FoundFile]:
    paths: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        links = [path for name in folders if (path := Path(parent, name)).is_symlink()]
        paths += [*links, *(Path(parent, name) for name in files if _is_wanted(name))]
        _check_count(len(paths), folder)
    for path in sorted(paths):
        yield _read_found(
            path.relative_to(folder).as_posix(), partial(_read_regular, path, budget)
        )


def _read_zip(path: Path, budget: ByteBudget) -> Iterator[FoundFile]:
    try:
        with path.open("rb") as file, open_zip(file, _MOST_BYTES_OF_DIRECTORY) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and _is_wanted(m.filename)]
            _check_count(len(members), path)
            for member in sorted(members, key=lambda member: member.filename):
                yield _read_found(member.filename, partial(read_member, archive, member, budget))
    except (OSError, UnusableTune) as error:
        raise DataError(
            f"{path.name} is not a valid zip: {error}. Unpack it and pass the folder."
        ) from None


def _read_found(name: str, read: Callable[[], bytes]) -> FoundFile:
    if name.lower().endswith(_ARCHIVE_SUFFIXES):
        return FoundFile(name, UnusableTune("archives inside", "unpack it, or load it by itself"))
    try:
        return FoundFile(name, read())
    except UnusableTune as error:
        return FoundFile(name, error)


def _read_regular(path: Path, budget: ByteBudget) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UnusableTune("links to folders", "load the folder by itself")
        # Opening a named pipe would wait for ever.
        if not stat.S_ISREG(mode):
            raise UnusableTune("not a file", "a pipe, socket or device")
        with path.open("rb") as file:
            return budget.read(file)
    except OSError as error:
        raise UnusableTune("cannot be opened", str(error.strerror)) from None


def _is_wanted(name: str) -> bool:
    # macOS puts files of its own, with the same names, into a zip.
    parts = PurePosixPath(name).parts
    hidden = any(_is_hidden(part) for part in parts) or "__MACOSX" in parts
    return not hidden and name.lower().endswith(TUNE_SUFFIXES + _ARCHIVE_SUFFIXES)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _check_count(count: int, path: Path) -> None:
    if count > MOST_FILES:
        raise DataError(f"{path.name} must hold at most {MOST_FILES} files. Load it in parts.")
