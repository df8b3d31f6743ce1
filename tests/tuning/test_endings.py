import pytest
from optuna.trial import TrialState

from chromasonic.tuning.endings import Ending

LIST = (
    "completed, stopped_early, pruned, diverged, out_of_memory, timed_out, killed, lost, failed, "
    "cancelled"
)


def test_the_endings_are_the_agreed_ones():
    assert ", ".join(Ending) == LIST


@pytest.mark.parametrize("ending", Ending)
def test_only_trials_that_came_to_their_own_end_are_complete(ending):
    expected = {
        Ending.COMPLETED: TrialState.COMPLETE,
        Ending.STOPPED_EARLY: TrialState.COMPLETE,
        Ending.PRUNED: TrialState.PRUNED,
    }
    assert ending.state is expected.get(ending, TrialState.FAIL)
