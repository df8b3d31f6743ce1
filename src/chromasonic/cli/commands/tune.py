"""`chromasonic tune`: the parameters of any objective."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chromasonic.cli.earlier import load_earlier
from chromasonic.cli.exits import errors_in_one_line, exit_by_result, require_extra
from chromasonic.cli.options import (
    Address,
    Debug,
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
    Threads,
    Timeout,
    TrialTimeout,
)
from chromasonic.cli.plots import draw


def tune(
    objective: Annotated[str, typer.Argument(help="What is tuned, as module:function.")],
    space: Annotated[Path, typer.Option(help="TOML file of what is searched.")],
    n_trials: NTrials = 50,
    output_dir: OutputDir = Path("tuning_results"),
    maximize: Annotated[
        bool, typer.Option("--maximize", help="Larger values are better.")
    ] = False,
    plot: Plot = False,
    sampler: Sampler = "auto",
    pruner: Pruner = "median",
    timeout: Timeout = None,
    patience: Patience = None,
    target: Annotated[
        float | None, typer.Option(help="End when a value is as good as this.")
    ] = None,
    seed: Seed = None,
    storage: Storage = None,
    study_name: Annotated[
        str | None, typer.Option(help="Name of the study; default: the function's.")
    ] = None,
    fresh: Fresh = False,
    from_: Earlier = None,
    from_study: EarlierStudy = None,
    accept_changed_source: Annotated[
        bool, typer.Option("--accept-changed-source", help="Go on though the source differs.")
    ] = False,
    executor: Executor = "process",
    jobs: Jobs = None,
    threads: Threads = 1,
    memory_limit: MemoryLimit = None,
    trial_timeout: TrialTimeout = None,
    stall_timeout: StallTimeout = None,
    on_oom: OnOom = "fail",
    no_deterministic: NoDeterministic = False,
    address: Address = None,
    gpus_per_trial: Annotated[
        float, typer.Option(min=0, help="GPUs of a trial, with --executor ray.")
    ] = 0,
    debug: Debug = False,
) -> None:
    """Search the parameters of a function that returns a number, or yields one each epoch.

    The same command on the same directory goes on where it stopped. Ctrl-C stops it.
    """
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
            jobs=jobs,
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            seed=seed,
            maximize=maximize,
            timeout=timeout,
            trial_timeout=trial_timeout,
            stall_timeout=stall_timeout,
            patience=patience,
            target=target,
            output_dir=output_dir,
            study_name=study_name,
            executor=executor,
            threads=threads,
            memory_limit=memory_limit,
            on_oom=on_oom,
            deterministic=not no_deterministic,
            address=address,
            gpus_per_trial=gpus_per_trial,
            earlier=load_earlier(from_, from_study),
            fresh=fresh,
            accept_changed_source=accept_changed_source,
        )
        if plot:
            draw(result, output_dir)
    exit_by_result(result.stopped_by, found=result.best_trial is not None)
