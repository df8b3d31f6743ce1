"""Errors of chromasonic's own domain.

::

    ChromasonicError
    ├── DataError       melodies, or other data, that cannot be used
    ├── SpaceError      a search space that makes no sense
    ├── ModelError      a model class that cannot be searched
    ├── ObjectiveError  an objective that cannot be tuned
    ├── DeviceError     a device that is not there
    ├── MissingExtra    an optional dependency that is not installed
    ├── ExecutorError   a place where trials cannot be run
    └── StudyError      a study that cannot be opened or continued
        ├── StudyMismatch   it was started with something else
        └── StudyInUse      another driver is working on it

A bad argument outside these raises the built-in ``ValueError`` or ``TypeError``.
"""


class ChromasonicError(Exception):
    """Any failure that chromasonic foresees and explains in one line."""


class DataError(ChromasonicError, ValueError):
    """Melodies, or other data, that cannot be used."""


class SpaceError(ChromasonicError, ValueError):
    """A search space that makes no sense."""


class ModelError(ChromasonicError, ValueError):
    """A model class that cannot be searched."""


class ObjectiveError(ChromasonicError, ValueError):
    """An objective that cannot be tuned."""


class DeviceError(ChromasonicError, RuntimeError):
    """A device that is not there."""


class MissingExtra(ChromasonicError, ImportError):
    """An optional dependency that is not installed."""


class ExecutorError(ChromasonicError, RuntimeError):
    """A place where trials cannot be run."""


class StudyError(ChromasonicError, RuntimeError):
    """A study that cannot be opened or continued."""


class StudyMismatch(StudyError):
    """The study was started with something else than it is asked to go on with."""


class StudyInUse(StudyError):
    """Another driver is working on the study."""


LONGEST_LINE = 300
LONGEST_VALUE = 80


def one_line(error: BaseException) -> str:
    """The type of an error and the first line of its message, as plain text."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - the user's own class may do anything
        message = "its message cannot be shown"
    # Only the beginning of a huge message is looked at.
    first_line = message[: 4 * LONGEST_LINE].strip().partition("\n")[0].rstrip(".")
    return plain_text(f"{type(error).__name__}: {first_line}"[:LONGEST_LINE])


def shown(value: object) -> str:
    """The beginning of a value as Python writes it, as plain text; its type where that fails."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the user's own class may do anything
        text = f"a value of type {type(value).__name__}"
    return plain_text(text[:LONGEST_VALUE])


def is_utf8(text: str) -> bool:
    """True unless the text holds half a character, as names of files of another encoding do."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain_text(text: str) -> str:
    """The text with characters that are not printed, such as a terminal's escape codes, spelled.

    Text of others, such as messages of their exceptions, then cannot move the cursor, change
    colours or reverse the direction of what follows. Line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
