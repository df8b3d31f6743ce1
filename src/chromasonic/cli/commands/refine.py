"""`chromasonic refine`: the space to search next."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from chromasonic.cli.exits import errors_in_one_line
from chromasonic.cli.next_command import next_command, next_output_dir
from chromasonic.cli.options import Debug, From

SPACE_FILE = "refined_space.toml"


def refine(
    from_: From = Path("hyperparameter_search_results"),
    storage: Annotated[
        str | None, typer.Option(help="Database URL; default: a file in --from.")
    ] = None,
    study_name: Annotated[
        str | None, typer.Option(help="Name of the study; default: the only one.")
    ] = None,
    space_file: Annotated[
        Path | None,
        typer.Option(help=f"Where the next space is written; default: {SPACE_FILE} in --from."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Propose the next space, by where the good trials of a search lie.

    Ranges are narrowed, widened or held constant, each with its reason. The command that is
    shown at the end searches the new space, and starts from the trials that fit it.
    """
    with errors_in_one_line(debug):
        from chromasonic.tuning.files import write_text
        from chromasonic.tuning.refinement import refine_space
        from chromasonic.tuning.session import read_session
        from chromasonic.tuning.storage import safe_url

        result = read_session(from_, study_name, storage)
        refinement = refine_space(result)
        for decision in refinement.decisions:
            typer.echo(str(decision))
        file = space_file or (from_ / SPACE_FILE if from_.is_dir() else Path(SPACE_FILE))
        write_text(file, refinement.to_toml())
        n_fitting = len(refinement.fitting_trials)
        typer.echo(f"Space: {file}")
        typer.echo(f"{n_fitting} of {len(result.trials)} trials fit it.")
        place = str(from_) if storage is None else safe_url(storage)
        earlier = ["--from", place, *(["--from-study", study_name] if study_name else [])]
        n_own = sum(trial.origin is None for trial in result.trials)
        n_trials, output_dir = n_fitting + max(1, n_own), next_output_dir(from_)
        command = next_command(result, earlier, file, output_dir, n_trials)
        if command is None:
            typer.echo(
                "To go on, give tune or optimize this space, earlier=read_session(...), "
                f"n_trials={n_trials} and another output_dir."
            )
        else:
            typer.echo(f"To go on: {shlex.join(command)}")
