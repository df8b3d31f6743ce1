import threading

import pytest

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors._sending import pickled_objective
from chromasonic.tuning.executors.on_ray import _worker as ray_worker
from chromasonic.tuning.executors.on_ray._worker import RayWorker
from chromasonic.tuning.executors.processes.child import Command
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.objective import Epoch, Trial


def task(number=7, *, waits=True, folder=None):
    return Task(Trial(number, 42), {"x": 1.0}, [], folder, waits)


def counting(params):
    for n in range(1, 4):
        yield Epoch(float(n), save=lambda folder, n=n: (folder / "n").write_text(str(n)))


def worker_of(objective):
    return RayWorker(pickled_objective(objective))


def begin(worker, ticket, its_task):
    """Runs a trial in a thread, as Ray does."""
    thread = threading.Thread(target=worker.run, args=(ticket, its_task, None), daemon=True)
    thread.start()
    return thread


def hear(worker, ticket, n_events):
    """The first so many events, and the newest checkpoint."""
    events, checkpoint = [], None
    while len(events) < n_events:
        report = worker.report(ticket)
        events += report.events
        checkpoint = report.checkpoint or checkpoint
    return events, checkpoint


def test_reports_are_there_at_once_and_in_order():
    worker = worker_of(counting)
    worker.run(1, task(waits=False), None)
    report = worker.report(1)
    started, *epochs, end = report.events
    assert started == TrialStarted(7)
    assert [event.row.loss for event in epochs] == [1.0, 2.0, 3.0]
    assert end == TrialEnded(7, Ending.COMPLETED)
    assert report.over


def test_a_worker_cannot_run_what_it_cannot_load():
    worker = RayWorker(b"no pickle at all")
    worker.run(1, task(), None)
    report = worker.report(1)
    assert report.unfit.startswith("UnpicklingError")
    assert (report.events, report.over) == ([], True)


def test_a_trial_that_waits_is_paused_with_a_checkpoint_of_its_last_epoch(tmp_path):
    worker = worker_of(counting)
    thread = begin(worker, 1, task(folder=tmp_path))
    hear(worker, 1, 2)
    worker.command(1, Command.GO_ON)
    hear(worker, 1, 1)
    worker.command(1, Command.PAUSE)
    events, checkpoint = hear(worker, 1, 1)
    thread.join()
    assert events == [TrialPaused(7)]
    assert checkpoint.files["n"] == b"2"
    assert [row.epoch for row in checkpoint.epochs] == [1, 2]


def test_nothing_is_written_where_the_drivers_folder_would_be(tmp_path):
    worker = worker_of(counting)
    worker.run(1, task(folder=tmp_path / "of the driver", waits=False), None)
    assert worker.report(1).checkpoint.files["n"] == b"3"
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_comes_too_late_does_not_reach_the_next_trial():
    worker = worker_of(counting)
    worker.run(1, task(waits=False), None)
    while not worker.report(1).over:
        pass
    worker.command(1, Command.STOP)
    worker.run(2, task(8, waits=False), None)
    assert TrialEnded(8, Ending.COMPLETED) in hear(worker, 2, 5)[0]


def test_a_machine_without_room_for_files_fails_one_trial_only(monkeypatch):
    def full():
        raise OSError("No space left on device")

    worker = worker_of(counting)
    with monkeypatch.context() as patched:
        patched.setattr(ray_worker, "scratch_folder", full)
        worker.run(1, task(waits=False), None)
    _, end = worker.report(1).events
    assert (end.ending, end.reason) == (Ending.FAILED, "OSError: No space left on device")
    assert "Traceback" in end.log
    worker.run(2, task(8, waits=False), None)
    assert isinstance(worker.report(2).events[1], EpochEnded)


@pytest.mark.parametrize("command", [Command.STOP, Command.PAUSE])
def test_an_epoch_is_broken_off_in_its_middle(command):
    def busy(params):
        yield 1.0
        while True:
            sum(range(10))

    worker = worker_of(busy)
    thread = begin(worker, 1, task(waits=False))
    hear(worker, 1, 2)
    worker.command(1, command)
    thread.join(30)
    assert not thread.is_alive()
