import signal
from contextlib import contextmanager
from dataclasses import replace

import pytest

from chromasonic.tuning._checkpoints import latest_checkpoint
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors import _trial_run as trial_run
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.objective import Epoch, Trial


def task(folder=None, params=None, epochs=(), checkpoint=None):
    return Task(Trial(7, 42, checkpoint), params or {"x": 1.0}, list(epochs), folder)


def start(executor, task):
    """Submits a trial, whose first word is that it has begun."""
    executor.submit(task)
    assert executor.poll(0.0) == [TrialStarted(task.number)]


def run_to_its_end(executor):
    """All further events of the trial that runs."""
    events = []
    while not events or isinstance(events[-1], EpochEnded):
        events += executor.poll(0.0)
    return events


def counting(n_epochs, saved=None):
    """An objective that yields 1, 2, ... and saves its state in a file."""

    def objective(params, trial):
        start = int((trial.checkpoint / "n").read_text()) if trial.checkpoint else 0
        for n in range(start + 1, n_epochs + 1):

            def save(folder, n=n):
                (folder / "n").write_text(str(n))

            yield Epoch(float(n), save=save)

    return objective


def test_a_trial_tells_its_epochs_and_its_end():
    def objective(params):
        yield Epoch(params["x"], 2.0, {"accuracy": 0.5})
        yield 3.0
        return Ending.STOPPED_EARLY

    executor = InlineExecutor(objective)
    start(executor, task())
    first, second, end = run_to_its_end(executor)
    assert first.row.seconds >= 0
    assert replace(first.row, seconds=0.0) == EpochRow(1, 1.0, 2.0, 0.0, {"accuracy": 0.5})
    assert (second.number, second.row.epoch, second.row.loss) == (7, 2, 3.0)
    assert end == TrialEnded(7, Ending.STOPPED_EARLY)


class NoException(BaseException):
    """Such as asyncio.CancelledError: not to be caught by accident."""


class OutOfMemoryError(RuntimeError):
    """PyTorch's out-of-memory error."""


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (ZeroDivisionError("by zero\nand more"), Ending.FAILED),
        (NoException("by zero"), Ending.FAILED),
        (MemoryError("by zero"), Ending.OUT_OF_MEMORY),
        (OutOfMemoryError("by zero"), Ending.OUT_OF_MEMORY),
        (RuntimeError("by zero: you can't allocate memory: 9 bytes"), Ending.OUT_OF_MEMORY),
    ],
)
def test_an_error_ends_the_trial_with_one_line_and_a_log(error, ending):
    def objective(params):
        yield 1.0
        raise error

    executor = InlineExecutor(objective)
    start(executor, task())
    _, end = run_to_its_end(executor)
    assert (end.number, end.ending) == (7, ending)
    assert end.reason.startswith(f"{type(error).__name__}: by zero")
    assert "\n" not in end.reason
    assert "in objective" in end.log


def test_of_a_very_long_error_only_the_beginning_and_the_end_are_stored():
    def objective(params):
        yield 1.0
        raise ValueError("the beginning" + "x" * 10_000_000 + "the end")

    executor = InlineExecutor(objective)
    start(executor, task())
    _, end = run_to_its_end(executor)
    assert len(end.reason) < 1_000
    assert len(end.log) < 30_000
    assert "Traceback" in end.log
    assert "characters left out" in end.log
    assert end.log.rstrip().endswith("the end")


def test_an_ended_trial_leaves_a_checkpoint_of_its_last_epoch(tmp_path):
    executor = InlineExecutor(counting(3))
    start(executor, task(tmp_path))
    run_to_its_end(executor)
    folder, epochs = latest_checkpoint(tmp_path)
    assert (folder / "n").read_text() == "3"
    assert [row.loss for row in epochs] == [1.0, 2.0, 3.0]


def test_a_paused_trial_goes_on_where_it_was(tmp_path):
    executor = InlineExecutor(counting(3))
    start(executor, task(tmp_path))
    executor.poll(0.0)
    executor.poll(0.0)
    executor.pause(7)
    assert executor.poll(0.0) == [TrialPaused(7)]
    folder, epochs = latest_checkpoint(tmp_path)
    start(executor, task(tmp_path, epochs=epochs, checkpoint=folder))
    third, _ = run_to_its_end(executor)
    assert (third.row.epoch, third.row.loss) == (3, 3.0)
    assert [row.epoch for row in latest_checkpoint(tmp_path)[1]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("save_s", "saved"),
    [
        (0.0, [1, 2, 3, 4, 5, 6, 7]),
        (0.1, [1, 2, 3, 4, 5, 6, 7]),
        (0.3, [1, 3, 5, 7]),
        (0.5, [1, 4, 7]),
        # Never less than once in 30 seconds, whatever that costs.
        (3.0, [1, 4, 7]),
    ],
)
def test_checkpoints_are_written_as_often_as_they_cost_little(
    tmp_path, monkeypatch, save_s, saved
):
    now = 0.0

    def objective(params):
        def save(folder):
            nonlocal now
            now += save_s
            written.append(epoch)

        for number in range(1, 8):
            epoch = number
            yield Epoch(1.0, save=save)

    written = []
    monkeypatch.setattr(trial_run.time, "monotonic", lambda: now)
    executor = InlineExecutor(objective)
    start(executor, task(tmp_path))
    for _ in range(7):
        now += 12.0
        executor.poll(0.0)
    assert written == saved


def test_without_a_folder_or_a_save_nothing_is_written(tmp_path):
    for objective, folder in ((counting(2), None), (lambda params: 1.0, tmp_path)):
        executor = InlineExecutor(objective)
        start(executor, task(folder))
        executor.poll(0.0)
        executor.pause(7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["stop", "pause", "close"])
def test_an_objective_cleans_up_when_it_is_ended(when):
    cleaned = []

    def objective(params):
        try:
            yield 1.0
            yield 2.0
        finally:
            cleaned.append(True)

    executor = InlineExecutor(objective)
    start(executor, task())
    executor.poll(0.0)
    executor.close() if when == "close" else getattr(executor, when)(7)
    assert cleaned == [True]


def test_a_save_that_raises_costs_its_trial_only(tmp_path):
    def objective(params):
        def save(folder):
            raise ZeroDivisionError("cannot save")

        yield Epoch(1.0, save=save)

    executor = InlineExecutor(objective)
    start(executor, task(tmp_path))
    (end,) = run_to_its_end(executor)
    assert (end.ending, end.reason) == (Ending.FAILED, "ZeroDivisionError: cannot save")
    assert latest_checkpoint(tmp_path) is None


def test_a_full_disk_under_a_file_that_torch_writes_itself_costs_no_trial(tmp_path):
    resource = pytest.importorskip("resource")
    torch = pytest.importorskip("torch")

    def objective(params):
        # Not through a file of Python's: PyTorch tells what happens in words of its own.
        yield Epoch(1.0, save=lambda folder: torch.save(torch.zeros(9999), folder / "all.pt"))

    executor = InlineExecutor(objective)
    start(executor, task(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        events = run_to_its_end(executor)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert events[-1].ending is Ending.COMPLETED
    for event in events:
        assert event.warning.startswith("trial 7 could not write its checkpoint: RuntimeError: ")
    assert latest_checkpoint(tmp_path) is None


def test_a_signal_within_an_epoch_loses_what_came_after_the_last_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_run, "SHARE_OF_CHECKPOINTS", 1e9)

    def objective(params, trial):
        yield from counting(2)(params, trial)
        signal.raise_signal(signal.SIGINT)
        yield 3.0

    with Interrupt() as interrupt:
        executor = InlineExecutor(objective, interrupt.breakable)
        start(executor, task(tmp_path))
        executor.poll(0.0)
        executor.poll(0.0)
        assert executor.poll(0.0) == [TrialPaused(7)]
    folder, epochs = latest_checkpoint(tmp_path)
    assert ((folder / "n").read_text(), len(epochs)) == ("2", 2)


def test_a_signal_before_an_epoch_keeps_the_one_before(tmp_path):
    interrupt = Interrupt()
    executor = InlineExecutor(counting(3), interrupt.breakable)
    start(executor, task(tmp_path))
    executor.poll(0.0)
    interrupt.request()
    assert executor.poll(0.0) == [TrialPaused(7)]
    folder, epochs = latest_checkpoint(tmp_path)
    assert ((folder / "n").read_text(), len(epochs)) == ("1", 1)


def test_a_signal_just_after_an_epoch_saves_no_state_that_is_ahead_of_the_curve(tmp_path):
    arrived = []

    @contextmanager
    def late_signal():
        yield
        arrived.append(True)
        if len(arrived) == 2:
            raise KeyboardInterrupt

    executor = InlineExecutor(counting(3), late_signal)
    start(executor, task(tmp_path))
    executor.poll(0.0)
    assert executor.poll(0.0) == [TrialPaused(7)]
    folder, epochs = latest_checkpoint(tmp_path)
    assert ((folder / "n").read_text(), len(epochs)) == ("1", 1)
