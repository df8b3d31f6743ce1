"""The command line: one short function a command, in a file of its name."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from chromasonic import __version__
from chromasonic.cli.commands.after_search import confirm, ensemble, train
from chromasonic.cli.commands.cancel import cancel
from chromasonic.cli.commands.generate import generate
from chromasonic.cli.commands.refine import refine
from chromasonic.cli.commands.report import report
from chromasonic.cli.commands.search import search
from chromasonic.cli.commands.tune import tune
from chromasonic.paths import expand_home

# Only what `--help` needs is imported here and in these files: the rest takes seconds to load.

app = typer.Typer(
    help="Finds the best hyperparameters of melody models, or of anything that can be scored.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def with_home(command: Callable[..., None]) -> Callable[..., None]:
    """The command with `~` in its paths replaced, as no shell does after `--option=`."""

    @wraps(command)
    def expanded(**given: Any) -> None:
        command(**{n: expand_home(v) if isinstance(v, Path) else v for n, v in given.items()})

    return expanded


for command in (search, confirm, train, ensemble, generate, refine, tune, report, cancel):
    app.command()(with_home(command))


def main() -> None:
    """Runs the command line."""
    app()


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Show the version and end.")] = False,
) -> None:
    """Finds the best hyperparameters of melody models, or of anything that can be scored."""
    if version:
        typer.echo(f"chromasonic {__version__}")
        raise typer.Exit
