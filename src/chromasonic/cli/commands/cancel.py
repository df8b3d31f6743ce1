"""`chromasonic cancel`: ends one trial of a search that runs elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from chromasonic.cli._exits import errors_in_one_line
from chromasonic.cli._options import Debug, OutputDir


def cancel(
    number: Annotated[int, typer.Argument(min=0, help="The trial's number.")],
    output_dir: OutputDir = Path("hyperparameter_search_results"),
    debug: Debug = False,
) -> None:
    """End one trial of a running search; it counts neither as a trial nor as a failure."""
    with errors_in_one_line(debug):
        from chromasonic.tuning.cancellation import Cancellations
        from chromasonic.tuning.search_folder import SearchFolder
        from chromasonic.tuning.session import (
            load_result,
            require_running,
            require_running_trial,
        )

        require_running(output_dir)
        if SearchFolder(output_dir).study.exists():
            require_running_trial(load_result(output_dir), number)
        Cancellations(output_dir).request(number)
        typer.echo(f"The search in {output_dir} will end trial {number}, if it is running.")
