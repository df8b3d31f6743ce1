"""`chromasonic tune`: the parameters of any objective."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chromasonic.cli._exits import errors_in_one_line, exit_by_result, require_extra
from chromasonic.cli._options import Debug, NTrials, OutputDir, Plot
from chromasonic.cli._plots import draw
from chromasonic.cli._run_options import ReadOptions, with_run_options


@with_run_options()
def tune(
    objective: Annotated[str, typer.Argument(help="What is tuned, as module:function.")],
    space: Annotated[Path, typer.Option(help="TOML file of what is searched.")],
    n_trials: NTrials = 50,
    output_dir: OutputDir = Path("tuning_results"),
    maximize: Annotated[
        bool, typer.Option("--maximize", help="Larger values are better.")
    ] = False,
    plot: Plot = False,
    study_name: Annotated[
        str | None, typer.Option(help="Name of the study; default: the function's.")
    ] = None,
    accept_changed_source: Annotated[
        bool, typer.Option("--accept-changed-source", help="Go on though the source differs.")
    ] = False,
    gpus_per_trial: Annotated[
        float, typer.Option(min=0, help="GPUs of a trial, with --executor ray.")
    ] = 0,
    debug: Debug = False,
    *,
    options: ReadOptions,
) -> None:
    """Search the parameters of a function that returns a number, or yields one each epoch.

    The same command on the same directory goes on where it stopped. Ctrl-C stops it.
    """
    folder = output_dir.absolute()
    with errors_in_one_line(debug):
        if plot:
            require_extra("matplotlib", "report")
        from chromasonic.any_objective import tune as tune_objective
        from chromasonic.bayesopt import read_space

        # A module beside the user, as with `python -m`.
        sys.path.insert(0, str(Path.cwd()))
        result = tune_objective(
            objective,
            read_space(space),
            n_trials,
            maximize=maximize,
            output_dir=output_dir,
            study_name=study_name,
            gpus_per_trial=gpus_per_trial,
            accept_changed_source=accept_changed_source,
            **options(),
        )
        if plot:
            draw(result, folder)
    exit_by_result(result.stopped_by, found=result.best_trial is not None)
