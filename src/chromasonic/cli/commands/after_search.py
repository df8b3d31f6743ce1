"""`chromasonic confirm`, `train` and `ensemble`: the steps after a search."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chromasonic.cli._exits import errors_in_one_line, require_extra
from chromasonic.cli._options import Debug, Device, Executor, From, Jobs, Repeats, Top, TrustCode

if TYPE_CHECKING:
    from chromasonic.melody_generation.after_search.steps import AfterSearch


def after_search(
    results: Path,
    top: int,
    repeats: int,
    device: str,
    executor: str,
    jobs: int | None,
    trust_code: bool,
) -> "AfterSearch":
    """The search in a directory, with its melodies loaded again.

    Raises:
        ChromasonicError: There is none, or its melodies or model cannot be had.
    """
    require_extra("torch", "melody")
    from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
    from chromasonic.melody_generation.after_search.steps import AfterSearch
    from chromasonic.melody_generation.training.devices import choose_device
    from chromasonic.tuning.session import load_result

    search = FinishedSearch.from_source(
        load_result(results, options=("--from", "--study-name")), trust_code=trust_code
    )
    chosen = str(choose_device(device))
    return AfterSearch(search, _folder(results), top, repeats, chosen, executor, jobs)


def _folder(results: Path) -> Path:
    return results if results.is_dir() else results.parent


def ensemble(
    from_: From = Path("hyperparameter_search_results"),
    size: Annotated[int, typer.Option(min=2, help="How many members.")] = 5,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Where the model goes; default: ensemble in the search's directory."),
    ] = None,
    top: Top = 5,
    repeats: Repeats = 5,
    device: Device = "auto",
    executor: Executor = "process",
    jobs: Jobs = None,
    trust_code: TrustCode = False,
    debug: Debug = False,
) -> None:
    """Average the best configurations and seeds of a search, weighted on the validation melodies.

    It is scored once on the test melodies. Ctrl-C stops it, and the same command goes on.
    """
    with errors_in_one_line(debug):
        from chromasonic.tuning.search_folder import SearchFolder

        after = after_search(from_, top, repeats, device, executor, jobs, trust_code)
        after.ensemble(output_dir or SearchFolder(_folder(from_)).ensemble, size)


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
    trust_code: TrustCode = False,
    debug: Debug = False,
) -> None:
    """Train the final model of a search: the winner's settings, on all but the test melodies.

    It is scored once on the test melodies. Ctrl-C stops it, and the same command goes on.
    """
    with errors_in_one_line(debug):
        from chromasonic.tuning.search_folder import SearchFolder

        after = after_search(from_, top, repeats, device, executor, jobs, trust_code)
        after.final_model(output_dir or SearchFolder(_folder(from_)).final_model, trial)


def confirm(
    from_: From = Path("hyperparameter_search_results"),
    top: Top = 5,
    repeats: Repeats = 5,
    device: Device = "auto",
    executor: Executor = "process",
    jobs: Jobs = None,
    trust_code: TrustCode = False,
    debug: Debug = False,
) -> None:
    """Train the best configurations of a search again, until one is surely best or they tie.

    The winner and its ties go into winner.json and the report. Ctrl-C stops it, and the same
    command goes on.
    """
    with errors_in_one_line(debug):
        after_search(from_, top, repeats, device, executor, jobs, trust_code).winner()
