"""`chromasonic search`: the hyperparameters of a melody model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chromasonic.cli._exits import errors_in_one_line, exit_by_result, require_extra
from chromasonic.cli._options import (
    Data,
    Debug,
    Device,
    NTrials,
    OutputDir,
    Plot,
    StudyName,
    Tokens,
)
from chromasonic.cli._plots import draw
from chromasonic.cli._run_options import ReadOptions, with_run_options
from chromasonic.errors import plain_text

if TYPE_CHECKING:
    from chromasonic.melody_generation.hyperparameter_search import HyperparameterSearchSpace

ModelName = Literal["lstm", "gru", "rnn", "transformer", "sonic"]
OutsideName = Literal["fold", "drop"]

VOCAB_SIZE = 88


@with_run_options(stall_timeout=3600.0)
def search(
    n_trials: NTrials = 20,
    epochs: Annotated[int, typer.Option(min=1, help="The most epochs a trial trains.")] = 20,
    n_sequences: Annotated[
        int, typer.Option(min=1, help="Melodies, before they are split.")
    ] = 500,
    output_dir: OutputDir = Path("hyperparameter_search_results"),
    device: Device = "auto",
    plot: Plot = False,
    model: Annotated[ModelName, typer.Option(help="The model that is searched.")] = "lstm",
    data: Data = "corpus",
    tokens: Tokens = None,
    outside: Annotated[
        OutsideName, typer.Option(help="Notes of your tunes that are outside the piano.")
    ] = "fold",
    max_notes: Annotated[
        int, typer.Option(min=16, help="Your longer tunes are cut to so many notes.")
    ] = 512,
    data_seed: Annotated[int, typer.Option(help="Chooses or makes the melodies.")] = 0,
    space: Annotated[
        Path | None, typer.Option(help="TOML file of what is searched; default: by model.")
    ] = None,
    study_name: StudyName = "melody_search",
    accept_changed_model: Annotated[
        bool, typer.Option("--accept-changed-model", help="Go on though the source differs.")
    ] = False,
    debug: Debug = False,
    *,
    options: ReadOptions,
) -> None:
    """Search the hyperparameters of a melody model.

    The same command on the same directory goes on where it stopped. Ctrl-C stops it.
    """
    folder = output_dir.absolute()
    with errors_in_one_line(debug):
        if plot:
            require_extra("matplotlib", "report")
        require_extra("torch", "melody")
        from chromasonic.melody_generation.data.sources import DataSource
        from chromasonic.melody_generation.hyperparameter_search import HyperparameterOptimizer
        from chromasonic.melody_generation.models import MODELS

        source = DataSource(
            data,
            tokens or ("pitch" if data == "synthetic" else "pitch_duration"),
            n_sequences,
            data_seed,
        )
        if source.reads_files:
            source = replace(source, options={"outside": outside, "max_notes": max_notes})
        melodies, lines = source.load()
        for line in lines:
            typer.echo(plain_text(line))
        optimizer = HyperparameterOptimizer(
            MODELS[model], _search_space(model, space, epochs), device, output_dir
        )
        result = optimizer.optimize(
            melodies.train,
            melodies.validation,
            VOCAB_SIZE,
            n_trials,
            study_name,
            accept_changed_model=accept_changed_model,
            data_description=source.describe(),
            tokens=source.tokens,
            **options(),
        )
        if plot:
            draw(result, folder)
    exit_by_result(result.stopped_by, found=result.best_trial is not None)


def _search_space(model: ModelName, file: Path | None, epochs: int) -> "HyperparameterSearchSpace":
    from chromasonic.bayesopt import read_space
    from chromasonic.melody_generation.hyperparameter_search import HyperparameterSearchSpace

    if file is not None:
        return HyperparameterSearchSpace.from_space(read_space(file), epochs)
    if model == "sonic":
        return HyperparameterSearchSpace.sonic_lstm(epochs)
    return HyperparameterSearchSpace(num_epochs=epochs)
