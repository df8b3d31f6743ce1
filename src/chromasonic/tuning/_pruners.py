"""Pruners by name, with the start that suits a search's length."""

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
        num_epochs: Epochs of a trial that is not stopped, at least 1; None if that is not known:
            the longest trial so far is then taken.

    Raises:
        ValueError: There is no such pruner.
    """
    if name not in PRUNERS:
        raise ValueError(f"a pruner must be one of {', '.join(PRUNERS)}, but got {name!r}.")
    pruner = PRUNERS[name](num_epochs)
    return pruner if num_epochs is not None else BeforeTheEnd(pruner)


class LearningMedianPruner(BasePruner):
    """A median pruner that takes the length of a trial from the trials so far."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """True if the trial is worse than half of the others were at its epoch."""
        return _median(max(1, _longest(study))).prune(study, trial)


class BeforeTheEnd(BasePruner):
    """Another pruner, asked only at epochs that a finished trial has gone beyond.

    To prune a trial after its last epoch, which for a plain function is the first, would save
    nothing and lose its value.

    Args:
        pruner: The pruner for all other epochs.
    """

    def __init__(self, pruner: BasePruner) -> None:
        self._pruner = pruner

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """True if the inner pruner ends the trial where others have gone on."""
        return (trial.last_step or 0) < _longest(study) and self._pruner.prune(study, trial)


def _longest(study: Study) -> int:
    """Epochs of the longest finished trial; 0 before there is one."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max((trial.last_step or 0 for trial in finished), default=0)


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
