"""The options of every search on the command line, in one place."""

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from chromasonic.cli._earlier import load_earlier
from chromasonic.cli._options import (
    Address,
    Earlier,
    EarlierStudy,
    Executor,
    Fresh,
    Jobs,
    MemoryLimit,
    NoDeterministic,
    OnOom,
    Patience,
    Pruner,
    Sampler,
    Seed,
    StallTimeout,
    Storage,
    Target,
    Threads,
    Timeout,
    TrialTimeout,
)

if TYPE_CHECKING:
    from chromasonic.tuning.run_options import RunOptions

ReadOptions = Callable[[], "RunOptions"]
"""Reads what the user has given; it may fail where an earlier search cannot be read."""


def run_options(
    sampler: Sampler = "auto",
    pruner: Pruner = "median",
    timeout: Timeout = None,
    patience: Patience = None,
    target: Target = None,
    seed: Seed = None,
    storage: Storage = None,
    fresh: Fresh = False,
    from_: Earlier = None,
    from_study: EarlierStudy = None,
    executor: Executor = "process",
    jobs: Jobs = None,
    threads: Threads = 1,
    memory_limit: MemoryLimit = None,
    trial_timeout: TrialTimeout = None,
    stall_timeout: StallTimeout = None,
    on_oom: OnOom = "fail",
    no_deterministic: NoDeterministic = False,
    address: Address = None,
) -> "RunOptions":
    """The options of a search as Python takes them."""
    return {
        "sampler": sampler,
        "pruner": pruner,
        "timeout": timeout,
        "patience": patience,
        "target": target,
        "seed": seed,
        "storage": storage,
        "fresh": fresh,
        "earlier": load_earlier(from_, from_study),
        "executor": executor,
        "jobs": jobs,
        "threads": threads,
        "memory_limit": memory_limit,
        "trial_timeout": trial_timeout,
        "stall_timeout": stall_timeout,
        "on_oom": on_oom,
        "deterministic": not no_deterministic,
        "address": address,
    }


def with_run_options(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the options of `run_options` to a command, before its last parameter.

    The command receives them as `options`, a function that reads them.

    Args:
        **defaults: Defaults that differ from those of `run_options`.
    """

    def add(command: Callable[..., None]) -> Callable[..., None]:
        shared = {
            name: parameter.replace(default=defaults.get(name, parameter.default))
            for name, parameter in inspect.signature(run_options).parameters.items()
        }
        own = dict(inspect.signature(command).parameters)
        del own["options"]
        *first, last = own.values()

        @wraps(command)
        def with_options(**given: Any) -> None:
            values = {name: given.pop(name) for name in shared}
            command(**given, options=partial(run_options, **values))

        signature = inspect.Signature([*first, *shared.values(), last])
        with_options.__signature__ = signature  # type: ignore[attr-defined]
        with_options.__annotations__ = {
            p.name: p.annotation for p in signature.parameters.values()
        }
        return with_options

    return add
