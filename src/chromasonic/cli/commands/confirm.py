"""`chromasonic confirm`: the honest winner of a search."""

from pathlib import Path

from chromasonic.cli.after_search import after_search
from chromasonic.cli.exits import errors_in_one_line
from chromasonic.cli.options import Debug, Device, Executor, From, Jobs, Repeats, Top


def confirm(
    from_: From = Path("hyperparameter_search_results"),
    top: Top = 5,
    repeats: Repeats = 5,
    device: Device = "auto",
    executor: Executor = "process",
    jobs: Jobs = None,
    debug: Debug = False,
) -> None:
    """Train the best configurations of a search again, until one is surely best or they tie.

    The winner and its ties go into winner.json and the report. Ctrl-C stops it, and the same
    command goes on.
    """
    with errors_in_one_line(debug):
        after_search(from_, top, repeats, device, executor, jobs).winner()
