import math

import pytest

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.learning_curve import EpochRow, best_row
from chromasonic.tuning.records import SearchResult, TrialRecord

FOR_OPTUNA = {"completed": "COMPLETE", "stopped_early": "COMPLETE", "pruned": "PRUNED"}


def make_trial(number, losses=(2.0,), ending="completed", params=None, **others):
    """A trial that ended after these losses."""
    curve = tuple(
        EpochRow(epoch, loss, loss - 0.1, 0.5) for epoch, loss in enumerate(losses, start=1)
    )
    best = best_row(curve)
    record = {
        "number": number,
        "state": FOR_OPTUNA.get(ending, "FAIL"),
        "ending": Ending(ending).value,
        "reason": "",
        "params": params or {},
        "learning_curve": curve,
        "best_epoch": best.epoch if best else None,
    }
    return TrialRecord(**{**record, **others})


def make_result(trials=(), **description):
    """The result of these trials."""
    return SearchResult(
        trials=tuple(trials),
        total_time=math.fsum(trial.training_time for trial in trials),
        description=description,
        timestamp="2024-01-15T10:30:45.123456",
    )


@pytest.fixture
def trial():
    return make_trial


@pytest.fixture
def result():
    return make_result
