"""Reports of a child to its parent: a line of JSON each, checked by their types.

The parent unpickles nothing that a trial may have written, and never waits for the rest of a line.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import get_args

import msgspec

from chromasonic.errors import one_line
from chromasonic.tuning.executors.protocol import EpochEnded, TrialEnded, TrialPaused

LONGEST_REPORT = 2**24
"""Bytes of the longest report."""

CHUNK = 2**20
MOST_CHUNKS = 64
"""Most chunks that are read at once, so that a child that writes without end holds nobody up."""


@dataclass(frozen=True)
class Ready:
    """A child is ready to run trials."""


@dataclass(frozen=True)
class TrialBegan:
    """A child has taken a trial and begins it."""

    number: int


@dataclass(frozen=True)
class LoadFailed:
    """A child cannot load the objective."""

    reason: str


@dataclass(frozen=True)
class TrialStopped:
    """A trial has ended by the parent's command."""

    number: int


@dataclass(frozen=True)
class LeftBehind:
    """A trial, whose end comes next, leaves something behind in its child."""

    number: int
    what: str


Report = (
    Ready
    | TrialBegan
    | LoadFailed
    | TrialStopped
    | LeftBehind
    | EpochEnded
    | TrialEnded
    | TrialPaused
)
KINDS = {kind.__name__: kind for kind in get_args(Report)}


class ReportError(Exception):
    """Something came over the pipe of a child that is no report."""


def send_report(connection: Connection, report: Report) -> None:
    """Writes a report into the pipe to the parent.

    Raises:
        OSError: The parent is gone.
    """
    line = json.dumps([type(report).__name__, report], default=vars).encode() + b"\n"
    if sys.platform == "win32":
        connection.send_bytes(line)
        return
    unsent = memoryview(line)
    while unsent:
        unsent = unsent[os.write(connection.fileno(), unsent) :]


class ReportReader:
    """Reads the reports of a child, without waiting.

    Args:
        connection: The parent's end of the pipe.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unfinished = b""

    def read(self) -> Iterator[Report]:
        """Whole reports that are there.

        Raises:
            ReportError: Something else is there.
            OSError: The pipe is closed.
        """
        for _ in range(MOST_CHUNKS):
            if not self._connection.poll():
                return
            chunk = self._read_chunk()
            if not chunk:
                return
            *lines, self._unfinished = (self._unfinished + chunk).split(b"\n")
            for line in lines:
                yield _parse(line)
            if len(self._unfinished) > LONGEST_REPORT:
                raise ReportError(f"a report of more than {LONGEST_REPORT} bytes")

    def _read_chunk(self) -> bytes:
        if sys.platform == "win32":
            return self._connection.recv_bytes(LONGEST_REPORT)
        return os.read(self._connection.fileno(), CHUNK)


def _parse(line: bytes) -> Report:
    try:
        kind, content = json.loads(line)
        report: Report = msgspec.convert(content, KINDS[kind])
    except (ValueError, TypeError, KeyError, RecursionError, msgspec.MsgspecError) as error:
        raise ReportError(one_line(error)) from None
    return report
