"""`chromasonic train`: the final model of a search."""

from pathlib import Path
from typing import Annotated

import typer

from chromasonic.cli.after_search import after_search
from chromasonic.cli.exits import errors_in_one_line
from chromasonic.cli.options import Debug, Device, Executor, From, Jobs, Repeats, Top


def train(
    from_: From = Path("hyperparameter_search_results"),
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Where the model goes; default: final_model in the search's directory."),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(min=0, help="Take this candidate instead of the winner, such as a tied one."),
    ] = None,
    top: Top = 5,
    repeats: Repeats = 5,
    device: Device = "auto",
    executor: Executor = "process",
    jobs: Jobs = None,
    debug: Debug = False,
) -> None:
    """Train the final model of a search: the winner's settings, on all but the test melodies.

    It is scored once on the test melodies. Ctrl-C stops it, and the same command goes on.
    """
    with errors_in_one_line(debug):
        after = after_search(from_, top, repeats, device, executor, jobs)
        after.final_model(output_dir or after.results_dir / "final_model", trial)
