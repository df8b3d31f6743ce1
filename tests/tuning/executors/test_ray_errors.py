import warnings

import pytest

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.on_ray._cluster import end_by

DEAD = """The actor died unexpectedly before finishing this task.
\tclass_name: RayWorker
\tpid: 718
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit \
detail: Worker unexpectedly exits with a connection error code 2. Some common causes include: (1) \
the process was killed by the OOM killer due to high memory usage, (2) ray stop was called."""

OUT_OF_MEMORY = """1 worker(s) were killed due to the node running low on memory. Memory on the \
node (IP: 127.0.0.1) was 4.77GB used / 23.54GB limit (0.202602)
OOM kill reason: Memory usage 5096210432B exceeded threshold of 5055300608B"""


@pytest.fixture(scope="module")
def exceptions():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ray.exceptions")


def died(exceptions, text):
    error = exceptions.ActorDiedError()
    error.error_msg = text
    return error


def test_a_worker_that_died_loses_its_trial(exceptions):
    end = end_by(died(exceptions, DEAD), 3, exceptions)
    assert (end.number, end.ending) == (3, Ending.LOST)
    assert end.reason == "The actor is dead because its worker process has died"
    assert end.log == DEAD


def test_a_worker_out_of_reach_loses_its_trial(exceptions):
    end = end_by(exceptions.ActorUnavailableError("RPC error: Socket closed", None), 3, exceptions)
    assert (end.ending, end.reason) == (Ending.LOST, "its worker does not answer any more")


def test_a_worker_that_ray_killed_for_its_memory_is_out_of_memory(exceptions):
    for error in (
        exceptions.OutOfMemoryError(OUT_OF_MEMORY),
        died(exceptions, OUT_OF_MEMORY),
    ):
        end = end_by(error, 3, exceptions)
        assert (end.ending, end.reason) == (Ending.OUT_OF_MEMORY, "its node ran low on memory")


def test_an_error_in_code_of_a_worker_fails_the_trial(exceptions):
    cause = TypeError("no such argument")
    error = exceptions.RayTaskError(
        "run", "Traceback\n  line 1\nTypeError: no such argument", cause
    )
    end = end_by(error, 3, exceptions)
    assert (end.ending, end.reason) == (Ending.FAILED, "TypeError: no such argument")
    assert "line 1" in end.log
