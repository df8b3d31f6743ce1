"""When a trial that does badly is ended early."""

from collections.abc import Callable

from optuna import Study
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.trial import FrozenTrial, TrialState

MEDIAN_STARTUP_TRIALS = 5
# A low learning rate only looks bad early: `benchmarks/pruning_start` measures what an earlier
# start would throw away.
MEDIAN_WARMUP_FRACTION = 0.3


def choose_pruner(name: str, num_epochs: int | None) -> BasePruner:
    """The Optuna pruner of that name, fitted to trials of at most `num_epochs` epochs.

    Args:
        name: One of `PRUNERS`.
        num_epochs: How long a trial runs if nothing ends it, at least 1; None if that is not
            known, so that the longest trial so far must tell.

    Raises:
        ValueError: There is no such pruner.
    """
    if name not in PRUNERS:
        raise ValueError(f"a pruner must be one of {', '.join(PRUNERS)}, but got {name!r}.")
    return PRUNERS[name](num_epochs)


class LearningMedianPruner(BasePruner):
    """A median pruner that learns from the trials themselves how long one is."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is worse than half of the others were at its epoch."""
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return _median(max((other.last_step or 1 for other in ended), default=1)).prune(
            study, trial
        )


def _median(num_epochs: int | None) -> BasePruner:
    if num_epochs is None:
        return LearningMedianPruner()
    return MedianPruner(
        n_startup_trials=MEDIAN_STARTUP_TRIALS,
        n_warmup_steps=round(MEDIAN_WARMUP_FRACTION * num_epochs),
    )


def _successive_halving(num_epochs: int | None) -> BasePruner:
    if num_epochs is None:
        return SuccessiveHalvingPruner(reduction_factor=3)
    return SuccessiveHalvingPruner(min_resource=_first_rung(num_epochs), reduction_factor=3)


def _hyperband(num_epochs: int | None) -> BasePruner:
    if num_epochs is None:
        return HyperbandPruner(reduction_factor=3)
    return HyperbandPruner(
        min_resource=_first_rung(num_epochs), max_resource=num_epochs, reduction_factor=3
    )


def _first_rung(num_epochs: int) -> int:
    return max(1, round(MEDIAN_WARMUP_FRACTION * num_epochs))


PRUNERS: dict[str, Callable[[int | None], BasePruner]] = {
    "median": _median,
    "successive_halving": _successive_halving,
    "hyperband": _hyperband,
    "none": lambda num_epochs: NopPruner(),
}
