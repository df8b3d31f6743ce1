"""`chromasonic search`: the hyperparameters of a melody model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chromasonic.cli.earlier import load_earlier
from chromasonic.cli.exits import errors_in_one_line, exit_by_result, require_extra
from chromasonic.cli.options import (
    Address,
    Data,
    Debug,
    Device,
    Earlier,
    EarlierStudy,
    Executor,
    Fresh,
    Jobs,
    MemoryLimit,
    NoDeterministic,
    NTrials,
    OnOom,
    OutputDir,
    Patience,
    Plot,
    Pruner,
    Sampler,
    Seed,
    StallTimeout,
    Storage,
    StudyName,
    Threads,
    Timeout,
    Tokens,
    TrialTimeout,
)
from chromasonic.cli.plots import draw

if TYPE_CHECKING:
    from chromasonic.melody_generation.hyperparameter_search import HyperparameterSearchSpace

ModelName = Literal["lstm", "gru", "rnn", "transformer", "sonic"]
OutsideName = Literal["fold", "drop"]

VOCAB_SIZE = 88


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
    sampler: Sampler = "auto",
    pruner: Pruner = "median",
    timeout: Timeout = None,
    patience: Patience = None,
    target: Annotated[
        float | None, typer.Option(help="End when a loss is no larger than this.")
    ] = None,
    seed: Seed = None,
    storage: Storage = None,
    study_name: StudyName = "melody_search",
    fresh: Fresh = False,
    from_: Earlier = None,
    from_study: EarlierStudy = None,
    accept_changed_model: Annotated[
        bool, typer.Option("--accept-changed-model", help="Go on though the source differs.")
    ] = False,
    executor: Executor = "process",
    jobs: Jobs = None,
    threads: Threads = 1,
    memory_limit: MemoryLimit = None,
    trial_timeout: TrialTimeout = None,
    stall_timeout: StallTimeout = 3600.0,
    on_oom: OnOom = "fail",
    no_deterministic: NoDeterministic = False,
    address: Address = None,
    debug: Debug = False,
) -> None:
    """Search the hyperparameters of a melody model.

    The same command on the same directory goes on where it stopped. Ctrl-C stops it.
    """
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
            typer.echo(line)
        optimizer = HyperparameterOptimizer(
            MODELS[model], _search_space(model, space, epochs), device, output_dir
        )
        result = optimizer.optimize(
            melodies.train,
            melodies.validation,
            VOCAB_SIZE,
            n_trials,
            timeout,
            study_name,
            sampler,
            pruner,
            seed,
            storage,
            patience=patience,
            target=target,
            earlier=load_earlier(from_, from_study),
            fresh=fresh,
            accept_changed_model=accept_changed_model,
            data_description=source.describe(),
            tokens=source.tokens,
            executor=executor,
            jobs=jobs,
            threads=threads,
            memory_limit=memory_limit,
            trial_timeout=trial_timeout,
            stall_timeout=stall_timeout,
            on_oom=on_oom,
            deterministic=not no_deterministic,
            address=address,
        )
        if plot:
            draw(result, output_dir)
    exit_by_result(result.stopped_by, found=result.best_trial is not None)


def _search_space(model: ModelName, file: Path | None, epochs: int) -> "HyperparameterSearchSpace":
    from chromasonic.bayesopt import read_space
    from chromasonic.melody_generation.hyperparameter_search import HyperparameterSearchSpace

    if file is not None:
        return HyperparameterSearchSpace.from_space(read_space(file), epochs)
    if model == "sonic":
        return HyperparameterSearchSpace.sonic_lstm(epochs)
    return HyperparameterSearchSpace(num_epochs=epochs)
