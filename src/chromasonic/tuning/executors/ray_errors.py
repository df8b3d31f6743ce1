"""What Ray says of workers that failed, in words of trials."""

from typing import Any

from chromasonic.errors import one_line
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import TrialEnded


def end_by(error: Exception, number: int, exceptions: Any) -> TrialEnded:
    """How a trial ends whose actor failed.

    Args:
        error: What Ray said.
        number: The trial's number.
        exceptions: The module `ray.exceptions`.
    """
    text = str(error)
    if isinstance(error, exceptions.RayTaskError):
        return TrialEnded(number, Ending.FAILED, last_line(error), text)
    # Of an actor Ray may say so in words alone.
    if isinstance(error, exceptions.OutOfMemoryError) or "running low on memory" in text:
        return TrialEnded(number, Ending.OUT_OF_MEMORY, "its node ran low on memory", text)
    if isinstance(error, exceptions.ActorUnavailableError):
        return TrialEnded(number, Ending.LOST, "its worker does not answer any more", text)
    return TrialEnded(number, Ending.LOST, _cause(error), text)


def _cause(error: Exception) -> str:
    """The one sentence of Ray's many that says what happened."""
    sentences = [line.partition(". ")[0] for line in str(error).splitlines()]
    because = [sentence for sentence in sentences if "because" in sentence]
    return (because or [one_line(error)])[0][:300].rstrip(".")


def last_line(error: Exception) -> str:
    """The line that says what went wrong in code of a worker: its traceback's last."""
    return str(error).strip().rpartition("\n")[2].strip()[:300].rstrip(".")
