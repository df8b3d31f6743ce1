"""`tune`: hyperparameter search for any objective."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from rich.console import Console

from chromasonic.bayesopt import Space
from chromasonic.errors import ObjectiveError, shown
from chromasonic.paths import expand_home
from chromasonic.search import run_search
from chromasonic.tuning.bound_data import bound_data, note_changes
from chromasonic.tuning.executors.executor_config import visible_gpus
from chromasonic.tuning.named_objective import identity_of, objective_named
from chromasonic.tuning.objective import Objective
from chromasonic.tuning.records import MAXIMIZE, SearchResult
from chromasonic.tuning.run_options import Run, RunOptions, with_defaults
from chromasonic.tuning.session import SearchPlan
from chromasonic.tuning.study import Fingerprint

SOURCE = "source of the objective"
DATA = "data bound to the objective"


def tune(
    objective: Objective | str,
    space: Space | Mapping[str, Any],
    n_trials: int = 50,
    *,
    maximize: bool = False,
    output_dir: str | Path | None = None,
    study_name: str | None = None,
    gpus_per_trial: float = 0,
    accept_changed_source: bool = False,
    verbose: bool = True,
    **options: Unpack[RunOptions],
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
        maximize: Whether larger values are better.
        output_dir: Where the study, its files and checkpoints are kept; None to keep nothing.
        study_name: What the study is called in the storage; the objective's name by default.
        gpus_per_trial: GPUs of a trial on Ray.
        accept_changed_source: Go on although the source of the objective, or the data bound to it
            (arguments of a `partial`, variables of a closure, attributes), have changed.
        verbose: Whether to show progress.
        **options: Options of every search, such as `jobs`, `timeout`, `sampler`, `seed`,
            `patience` and `executor`; see `RunOptions`.

    Returns:
        A mapping with `best_params`, `best_value`, `total_time`, `n_trials`, `trial_results`
        and more, with the sign of the objective; `stopped_by` says why it ended. After Ctrl-C
        it is the result so far.

    Raises:
        ObjectiveError: There is no such objective.
        SpaceError: The space makes no sense.
        ExecutorError: The objective cannot be run there.
        StudyError: The study cannot be opened, is in use, or was started with something else.
        TypeError: There is no such option.
        ValueError: Another argument is wrong.
    """
    settled = with_defaults(options)
    maximize = bool(maximize)
    searched = space if isinstance(space, Space) else Space.from_bounds(space)
    named = objective_named(objective) if isinstance(objective, str) else objective
    # Here already a name that cannot be found must be told.
    name, source = identity_of(named)
    if not callable(named):
        raise ObjectiveError(f"an objective must be a function, but got {shown(objective)}.")
    data = None if isinstance(objective, str) else bound_data(objective)
    plan = SearchPlan(
        space=searched,
        num_epochs=None,
        fingerprint=_fingerprint(searched, name, source, data, maximize),
        output_dir=None if output_dir is None else expand_home(output_dir),
        study_name=study_name or name.rpartition(".")[2].rpartition(":")[2],
        storage=settled["storage"],
        sampler=settled["sampler"],
        pruner=settled["pruner"],
        seed=settled["seed"],
        initial_points=settled["initial_points"],
        earlier=settled["earlier"],
        fresh=settled["fresh"],
        accept_changes=accept_changed_source,
        description={
            "direction": MAXIMIZE if maximize else "minimize",
            "objective": name,
            **({"imported_from": objective} if isinstance(objective, str) else {}),
            "space": searched.to_dict(),
        },
    )
    run = Run.from_options(
        settled,
        n_trials,
        maximize=maximize,
        gpus=visible_gpus() if settled["executor"] == "process" else (),
        gpus_per_trial=gpus_per_trial,
    )
    try:
        return run_search(plan, named, run, console=Console(quiet=not verbose))
    finally:
        note_changes(objective, data)


def _fingerprint(
    space: Space, name: str, source: str, data: str | None, maximize: bool
) -> Fingerprint:
    parameters = space.to_dict()["parameters"]
    return Fingerprint(
        {
            "space": {parameter["name"]: parameter for parameter in parameters},
            "objective": name,
            SOURCE: source,
            DATA: data,
            "direction": MAXIMIZE if maximize else "minimize",
        },
        acceptable=frozenset({SOURCE, DATA}),
        hint=", or accept the changed source with accept_changed_source (--accept-changed-source)",
    )
