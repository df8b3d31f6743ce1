"""Options that every search has, on the command line and in Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self, TypedDict

from optuna.storages import BaseStorage

from chromasonic.scalars import python_scalar
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.executors.executor_config import ExecutorConfig
from chromasonic.tuning.records import SearchResult
from chromasonic.tuning.rules import TrialRules


class RunOptions(TypedDict, total=False):
    """Options of a search, each with a default.

    Attributes:
        timeout: Seconds for this run; running trials are then put back into the queue.
        patience: End after so many trials without a better value.
        target: End when a value is as good as this.
        sampler: `auto`, `gp`, `tpe`, `random`, `grid`, `qmc` or `cmaes`; `auto` by default.
        pruner: `median`, `successive_halving`, `hyperband` or `none`; `median` by default.
        seed: Of everything random; drawn, shown and stored if None.
        storage: A database URL or an Optuna storage; by default a file in the output directory,
            or memory where there is none.
        initial_points: Parameters to try first, in a new study.
        earlier: The result of an earlier search of the same objective: a new study starts from
            its trials that fit the space, and they count.
        fresh: Begin a new study; the old one stays beside it.
        executor: `process` (each trial in a child process, which it may bring down without
            further harm; the default), `inline` (in this process, one at a time) or `ray`.
        jobs: How many trials run at the same time; None for what the machine can bear.
        threads: CPU threads of a trial, 1 by default; another number rounds otherwise.
        memory_limit: Bytes of memory that a trial may use, such as `2GB`; None for no limit.
        trial_timeout: Seconds that a trial may take; None for no limit.
        stall_timeout: Seconds that a trial may go without the end of an epoch.
        on_oom: `retry` runs a trial that ran out of memory once more, with
            `trial.out_of_memory_before` set; `fail`, the default, does not.
        deterministic: True, the default, if the same seed and number of jobs must give the same
            trials; without, no job ever waits for another.
        address: Of the Ray cluster.
    """

    timeout: float | None
    patience: int | None
    target: float | None
    sampler: str
    pruner: str
    seed: int | None
    storage: str | BaseStorage | None
    initial_points: Sequence[Mapping[str, Any]]
    earlier: SearchResult | None
    fresh: bool
    executor: str
    jobs: int | None
    threads: int
    memory_limit: int | str | None
    trial_timeout: float | None
    stall_timeout: float | None
    on_oom: str
    deterministic: bool
    address: str | None


DEFAULTS: RunOptions = {
    "timeout": None,
    "patience": None,
    "target": None,
    "sampler": "auto",
    "pruner": "median",
    "seed": None,
    "storage": None,
    "initial_points": (),
    "earlier": None,
    "fresh": False,
    "executor": "process",
    "jobs": None,
    "threads": 1,
    "memory_limit": None,
    "trial_timeout": None,
    "stall_timeout": None,
    "on_oom": "fail",
    "deterministic": True,
    "address": None,
}


def with_defaults(options: RunOptions) -> RunOptions:
    """The options with the default of each that is not given.

    Raises:
        TypeError: There is no such option.
    """
    for name in options:
        if name not in DEFAULTS:
            close = get_close_matches(name, DEFAULTS, 1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(DEFAULTS)}."
            raise TypeError(f"a search has no option {name!r}. {hint}")
    given: Any = {name: python_scalar(value) for name, value in options.items()}
    return {**DEFAULTS, **given}


@dataclass(frozen=True)
class Run:
    """Settings that may differ from one run of a search to the next.

    Attributes:
        budget: How long it goes on.
        place: Where its trials run.
        rules: How they are treated.
        settings: What else is kept with each trial.
    """

    budget: Budget
    place: ExecutorConfig
    rules: TrialRules
    settings: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_options(
        cls,
        options: RunOptions,
        n_trials: int,
        *,
        maximize: bool = False,
        gpus: Sequence[str] = (),
        gpus_per_trial: float = 0,
        settings: Mapping[str, str] | None = None,
    ) -> Self:
        """The run that options, with defaults, describe.

        Args:
            options: The options.
            n_trials: The total of trials, those of earlier runs included.
            maximize: True if larger values are better.
            gpus: Names of the GPUs that child processes share.
            gpus_per_trial: GPUs of a trial on Ray.
            settings: What else is kept with each trial.

        Raises:
            ValueError: An option is wrong.
        """
        return cls(
            Budget(n_trials, options["timeout"], options["patience"], options["target"], maximize),
            ExecutorConfig(
                options["executor"],
                options["jobs"],
                options["threads"],
                tuple(gpus),
                options["memory_limit"],
                options["address"],
                gpus_per_trial,
            ),
            TrialRules(
                options["deterministic"],
                options["trial_timeout"],
                options["stall_timeout"],
                options["on_oom"],
            ),
            tuple((settings or {}).items()),
        )
