"""`tune`: hyperparameter search for any objective."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from rich.console import Console

from chromasonic.bayesopt import Space
from chromasonic.errors import ObjectiveError
from chromasonic.search import Run, run_search
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.executors.machine import visible_gpus
from chromasonic.tuning.executors.place import ExecutorConfig
from chromasonic.tuning.named_objective import identity_of, objective_named
from chromasonic.tuning.objective import Negated, Objective
from chromasonic.tuning.records import MAXIMIZE, SearchResult
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.session import SearchPlan
from chromasonic.tuning.study import Fingerprint

SOURCE = "source of the objective"


def tune(
    objective: Objective | str,
    space: Space | Mapping[str, Any],
    n_trials: int = 50,
    *,
    jobs: int | None = None,
    storage: str | BaseStorage | None = None,
    sampler: str = "auto",
    pruner: str = "median",
    seed: int | None = None,
    maximize: bool = False,
    timeout: float | None = None,
    trial_timeout: float | None = None,
    stall_timeout: float | None = None,
    patience: int | None = None,
    target: float | None = None,
    output_dir: str | Path | None = None,
    study_name: str | None = None,
    executor: str = "process",
    initial_points: Sequence[Mapping[str, Any]] = (),
    earlier: SearchResult | None = None,
    threads: int = 1,
    memory_limit: int | str | None = None,
    on_oom: str = "fail",
    deterministic: bool = True,
    address: str | None = None,
    gpus_per_trial: float = 0,
    fresh: bool = False,
    accept_changed_source: bool = False,
    verbose: bool = True,
) -> SearchResult:
    """Searches the parameters of an objective.

    A call with the same `output_dir` (or `storage`) and study name goes on where the last one
    stopped.

    Args:
        objective: A function of a dict of parameters that returns a number, or a generator that
            yields one each epoch and is not asked for the next when it is to stop; or
            `"module:function"`. With a second argument `trial` it is told its number, a seed and
            the checkpoint to continue from, and yields `Epoch` objects that can be saved.
        space: What is searched: bounds as in `bayesian_optimization`, or a `Space`.
        n_trials: The total of trials, those of earlier calls included.
        jobs: How many trials run at the same time; None for what the machine can bear.
        storage: A database URL; a file in `output_dir` by default, memory where there is none.
        sampler: `auto`, `gp`, `tpe`, `random`, `grid`, `qmc` or `cmaes`.
        pruner: `median`, `successive_halving`, `hyperband` or `none`.
        seed: Of everything random; drawn, shown and stored if None.
        maximize: Whether larger values are better.
        timeout: Seconds for this call; running trials are then put back into the queue.
        trial_timeout: Seconds a trial may take.
        stall_timeout: Seconds a trial may go without yielding.
        patience: End after so many trials without a better value.
        target: End when a value is as good as this.
        output_dir: Where the study, its files and checkpoints are kept; None to keep nothing.
        study_name: What the study is called in the storage; the objective's name by default.
        executor: `process` (each trial in a child process), `inline` (in this process, one at a
            time) or `ray`.
        initial_points: Parameters to try first, in a new study.
        earlier: What an earlier search of the same objective found: a new study starts from its
            trials that fit the space, and they count.
        threads: CPU threads of a trial.
        memory_limit: Bytes of memory a trial may use, such as `2GB`.
        on_oom: `retry` runs a trial that ran out of memory once more, with
            `trial.out_of_memory_before` set; `fail` does not.
        deterministic: Whether the same seed and the same number of jobs must give the same
            trials; without, no job ever waits for another.
        address: Of the Ray cluster.
        gpus_per_trial: GPUs of a trial on Ray.
        fresh: Begin a new study; the old one stays beside it.
        accept_changed_source: Go on although the source of the objective has changed.
        verbose: Whether to show progress.

    Returns:
        A mapping with `best_params`, `best_value`, `total_time`, `n_trials`, `trial_results`
        and more, with the sign of the objective; `stopped_by` says why it ended. After Ctrl-C
        it is the result so far.

    Raises:
        ObjectiveError: There is no such objective.
        SpaceError: The space makes no sense.
        ExecutorError: The objective cannot be run there.
        StudyError: The study cannot be opened, is in use, or was started with something else.
        ValueError: Another argument is wrong.
    """
    searched = space if isinstance(space, Space) else Space.from_bounds(space)
    named = objective_named(objective) if isinstance(objective, str) else objective
    # Here already a name that cannot be found must be told.
    name, source = identity_of(named)
    if not callable(named):
        raise ObjectiveError(f"an objective must be a function, but got {objective!r:.80}.")
    plan = SearchPlan(
        space=searched,
        num_epochs=None,
        fingerprint=_fingerprint(searched, name, source, maximize),
        output_dir=None if output_dir is None else Path(output_dir),
        study_name=study_name or name.rpartition(".")[2].rpartition(":")[2],
        storage=storage,
        sampler=sampler,
        pruner=pruner,
        seed=seed,
        initial_points=initial_points,
        earlier=earlier,
        fresh=fresh,
        accept_changes=accept_changed_source,
        description={
            "direction": MAXIMIZE if maximize else "minimize",
            "objective": name,
            **({"imported_from": objective} if isinstance(objective, str) else {}),
            "space": searched.to_dict(),
        },
    )
    if target is not None and maximize:
        target = -target
    gpus = visible_gpus() if executor == "process" else ()
    run = Run(
        Budget(n_trials, timeout, patience, target),
        ExecutorConfig(executor, jobs, threads, gpus, memory_limit, address, gpus_per_trial),
        TrialRules(deterministic, trial_timeout, stall_timeout, on_oom),
    )
    minimised = Negated(named) if maximize else named
    return run_search(plan, minimised, run, console=Console(quiet=not verbose))


def _fingerprint(space: Space, name: str, source: str, maximize: bool) -> Fingerprint:
    parameters = space.to_dict()["parameters"]
    return Fingerprint(
        {
            "space": {parameter["name"]: parameter for parameter in parameters},
            "objective": name,
            SOURCE: source,
            "direction": MAXIMIZE if maximize else "minimize",
        },
        acceptable=frozenset({SOURCE}),
        hint=", or accept the changed source with accept_changed_source (--accept-changed-source)",
    )
