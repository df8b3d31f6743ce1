"""Exit codes of commands, and errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import typer

from chromasonic.errors import ChromasonicError, MissingExtra, plain_text

NOTHING_FOUND = 1
USER_MISTAKE = 2
INTERRUPTED = 130


@contextmanager
def errors_in_one_line(debug: bool) -> Iterator[None]:
    """Shows a foreseen error as one line, and ends with an exit code that tells what it was."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except (ChromasonicError, OSError) as error:
        if debug:
            raise
        typer.echo(plain_text(f"error: {' '.join(str(error).split())}"), err=True)
        raise typer.Exit(USER_MISTAKE) from None


def require_extra(package: str, extra: str) -> None:
    """Does nothing if a package is installed.

    Raises:
        MissingExtra: It is not; `extra` brings it.
    """
    if find_spec(package) is None:
        raise MissingExtra(
            f"{package} must be installed for this, but is not. "
            f'Run: pip install "chromasonic[{extra}]"'
        )


def exit_by_result(stopped_by: str | None, *, found: bool) -> None:
    """Exits with the code of a search's stop reason."""
    if stopped_by == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if not found:
        typer.echo("No trial has been trained to its end: see the reasons above.", err=True)
        raise typer.Exit(NOTHING_FOUND)
