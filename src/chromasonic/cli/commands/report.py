"""`chromasonic report`: the files of a search, written again."""

from pathlib import Path
from typing import Annotated

import typer

from chromasonic.cli._exits import errors_in_one_line, require_extra
from chromasonic.cli._options import Debug, OutputDir, Plot, Storage
from chromasonic.cli._plots import draw
from chromasonic.errors import plain_text


def report(
    output_dir: OutputDir = Path("hyperparameter_search_results"),
    storage: Storage = None,
    study_name: Annotated[
        str | None, typer.Option(help="Name of the study; default: the only one.")
    ] = None,
    plot: Plot = False,
    debug: Debug = False,
) -> None:
    """Write a search's files again, from its study alone."""
    with errors_in_one_line(debug):
        if plot:
            require_extra("matplotlib", "report")
        from chromasonic.reporting.result_files import write_result_files
        from chromasonic.reporting.text import summary_lines
        from chromasonic.tuning.session import load_result

        result = load_result(
            storage or output_dir, study_name, options=("--storage", "--study-name")
        )
        write_result_files(result, output_dir)
        for line in summary_lines(result):
            typer.echo(plain_text(line))
        if plot:
            draw(result, output_dir)
