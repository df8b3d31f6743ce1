"""Trials in child processes, one long-lived child a slot."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from chromasonic.errors import ExecutorError
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors._sending import pickled_objective
from chromasonic.tuning.executors.processes._reports import (
    LeftBehind,
    LoadFailed,
    Ready,
    Report,
    ReportError,
    TrialBegan,
    TrialStopped,
)
from chromasonic.tuning.executors.processes._worker import Worker
from chromasonic.tuning.executors.processes.child import Command, TrialCommand
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.objective import Objective

LOOK_EVERY_S = 0.25
"""Time between two checks of the memory of trials."""

MOST_FAILED_STARTS = 3
"""Failed starts in a row after which a slot is given up if no child has ever started."""

MOST_FAILED_STARTS_LATER = 10
"""The same where children have started before, so that the cause may pass."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Pauses before a slot that has failed to start is tried again, doubled each time."""

MOST_GROWTH = 2**28
"""Bytes by which the memory of a child may grow from its first trial to its last one."""

MOST_GROWTH_OF_LIMIT = 1 / 8
"""The same as a part of what a trial may use, where there is a limit."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class ProcessExecutor:
    """Runs trials in child processes, so that a crash costs one trial only.

    A child is reused from trial to trial. It is replaced after a kill, a time-out, out of memory
    or an exception, and when its memory has grown or a trial has left something running in it.

    Args:
        objective: What is tuned; it travels to the children by cloudpickle.
        slots: How many trials run at the same time.
        threads: CPU threads of a trial.
        gpus: Names of GPUs, as in `CUDA_VISIBLE_DEVICES`; the slots share them in turn, so that
            each sees one only. Empty: the children see what this process sees.
        memory_limit: Bytes of memory that a trial may use; None for no limit.

    Raises:
        ExecutorError: The objective cannot be sent to another process.
    """

    def __init__(
        self,
        objective: Objective,
        slots: int,
        *,
        threads: int = 1,
        gpus: Sequence[str] = (),
        memory_limit: int | None = None,
    ) -> None:
        self.slots = slots
        self._pickled = pickled_objective(objective)
        self._environments = [_environment(slot, threads, gpus) for slot in range(slots)]
        self._memory_limit = memory_limit
        self._most_growth = min(
            MOST_GROWTH,
            MOST_GROWTH if memory_limit is None else int(MOST_GROWTH_OF_LIMIT * memory_limit),
        )
        self._workers: list[Worker | None] = [None] * slots
        self._leaving: list[Worker] = []
        self._queue: deque[Task] = deque()
        self._pending: list[Event] = []
        self._failed_starts = [0] * slots
        self._start_at = [0.0] * slots
        self._has_ever_started = False
        self._next_look = 0.0

    def submit(self, task: Task) -> None:
        """Starts a trial in the next child that is free."""
        self._queue.append(task)
        self._start_workers()
        self._start_queued()

    def poll(self, timeout_s: float) -> list[Event]:
        """Waits for events of trials, and returns them."""
        events, self._pending = self._pending, []
        by_handle = {handle: worker for worker in self._present() for handle in worker.handles}
        timeout_s = 0.0 if events else min(timeout_s, LOOK_EVERY_S)
        heard = {id(by_handle[handle]) for handle in wait(list(by_handle), timeout_s)}
        for worker in self._present():
            # What a child has forked may hold its handles open longer than it lives.
            if id(worker) in heard or worker.is_dead:
                events += self._events_of(worker)
        events += self._end_over_memory_limit()
        self._replace_late_workers()
        self._start_workers()
        self._leaving = [worker for worker in self._leaving if not worker.gone()]
        self._start_queued()
        events += self._pending
        self._pending = []
        return events

    def go_on(self, number: int) -> None:
        """Lets a trial that waits after an epoch begin the next one."""
        self._command(number, Command.GO_ON)

    def stop(self, number: int) -> None:
        """Ends a trial, in the middle of an epoch if need be."""
        if not self._drop_from_queue(number):
            self._command(number, Command.STOP)

    def pause(self, number: int) -> None:
        """Asks a trial to stop where it is."""
        if self._drop_from_queue(number):
            self._pending.append(TrialPaused(number))
        else:
            self._command(number, Command.PAUSE)

    def kill(self, number: int) -> None:
        """Ends a trial and its child at once."""
        worker = self._worker_of(number)
        if not self._drop_from_queue(number) and worker is not None:
            worker.kill()
            self._replace(worker)

    def close(self) -> None:
        """Ends all children."""
        for worker in self._present():
            worker.dismiss()
        for worker in [*self._present(), *self._leaving]:
            worker.wait_until_gone()
        self._workers = [None] * self.slots
        self._leaving = []
        self._queue.clear()

    def _start_queued(self) -> None:
        for worker in self._present():
            if not self._queue or not worker.is_idle:
                continue
            if self._queue[0].needs_new_process and not worker.is_new:
                worker.dismiss()
                self._replace(worker)
            else:
                worker.begin(self._queue.popleft())

    def _start_workers(self) -> None:
        """Starts a child in every empty slot that need not wait after a failed start."""
        for slot, worker in enumerate(self._workers):
            if worker is None and self._queue and time.monotonic() >= self._start_at[slot]:
                self._workers[slot] = Worker(self._pickled, self._environments[slot])

    def _replace_late_workers(self) -> None:
        """Kills children that hang or are suspended; a trial that has not begun goes to another.

        One that was commanded to stop has ended for the driver.
        """
        for worker in self._present():
            if not worker.is_late:
                continue
            if not worker.is_ready:
                self._count_failed_start(worker, "one did not load the objective in time")
            elif worker.task is not None and not worker.must_stop:
                self._queue.appendleft(worker.task)
            worker.kill()
            self._replace(worker)

    def _events_of(self, worker: Worker) -> list[Event]:
        """Events of a child for the driver; a dead one has the ending of its trial."""
        events: list[Event] = []
        try:
            for report in worker.reports():
                self._take_report(worker, report, events)
        except ReportError as error:
            if worker in self._workers:
                reason = f"the process of the trial sent what is no report: {error}"
                events += self._give_up(worker, Ending.FAILED, reason)
        if worker.is_dead and worker in self._workers:
            events += self._give_up(worker, *worker.cause_of_death())
        return events

    def _take_report(self, worker: Worker, report: Report, events: list[Event]) -> None:
        """Notes a report of a child, and adds what the driver must know to the events."""
        match report:
            case Ready():
                worker.is_ready = self._has_ever_started = True
                self._failed_starts[self._workers.index(worker)] = 0
            case TrialBegan(number):
                worker.has_begun = True
                if not worker.must_stop:
                    events.append(TrialStarted(number))
            case LoadFailed(reason):
                raise ExecutorError(
                    f"a worker process must be able to load the objective, but: {reason}. "
                    "Put what it needs into a module that can be imported everywhere."
                )
            case LeftBehind():
                worker.has_leftovers = True
            case TrialStopped() | TrialEnded() | TrialPaused():
                # After the command to stop it may have run on until that arrived.
                if not isinstance(report, TrialStopped) and not worker.must_stop:
                    events.append(_with_blame(report, worker))
                has_failed = isinstance(report, TrialEnded) and not report.ending.finished
                if not worker.end_trial(self._most_growth) or has_failed:
                    worker.dismiss()
                    self._replace(worker)
            case EpochEnded() if not worker.must_stop:
                events.append(report)

    def _give_up(self, worker: Worker, ending: Ending, reason: str) -> list[Event]:
        """Kills a child; its trial has this ending, unless it was commanded to stop.

        A trial that had not begun when something of an earlier one killed the child goes to
        another.
        """
        task, must_stop = worker.task, worker.must_stop
        if task is not None and worker.was_used and not worker.has_begun and not must_stop:
            self._queue.appendleft(task)
            task = None
        if not worker.is_ready:
            self._count_failed_start(worker, reason)
        worker.kill()
        self._replace(worker)
        if task is None or must_stop:
            return []
        return [TrialEnded(task.number, ending, reason, in_used_process=worker.was_used)]

    def _count_failed_start(self, worker: Worker, reason: str) -> None:
        """Has the slot of a child that did not start wait before the next one.

        Raises:
            ExecutorError: Too many in a row did not start there.
        """
        slot = self._workers.index(worker)
        self._failed_starts[slot] += 1
        failed = self._failed_starts[slot]
        most = MOST_FAILED_STARTS_LATER if self._has_ever_started else MOST_FAILED_STARTS
        if failed >= most:
            raise ExecutorError(f"worker processes must be able to start, but {reason}.")
        pause_s = min(FIRST_PAUSE_S * 2 ** (failed - 1), LONGEST_PAUSE_S)
        self._start_at[slot] = time.monotonic() + pause_s

    def _end_over_memory_limit(self) -> list[Event]:
        """Kills trials that use more memory than they may."""
        limit = self._memory_limit
        events: list[Event] = []
        if limit is None or time.monotonic() < self._next_look:
            return events
        self._next_look = time.monotonic() + LOOK_EVERY_S
        for worker in self._present():
            if worker.task is None or (used := worker.memory_above(limit)) is None:
                continue
            reason = f"used {_megabytes(used)} of memory; the limit is {_megabytes(limit)}"
            if not worker.must_stop:
                ended = TrialEnded(worker.task.number, Ending.OUT_OF_MEMORY, reason)
                events.append(_with_blame(ended, worker))
            worker.kill()
            self._replace(worker)
        return events

    def _replace(self, worker: Worker) -> None:
        self._leaving.append(worker)
        self._workers[self._workers.index(worker)] = None

    def _command(self, number: int, command: Command) -> None:
        worker = self._worker_of(number)
        if worker is not None:
            worker.command(TrialCommand(command, number))

    def _drop_from_queue(self, number: int) -> bool:
        for task in self._queue:
            if task.number == number:
                self._queue.remove(task)
                return True
        return False

    def _worker_of(self, number: int) -> Worker | None:
        return next((w for w in self._present() if w.task and w.task.number == number), None)

    def _present(self) -> list[Worker]:
        return [worker for worker in self._workers if worker is not None]


def _with_blame(event: TrialEnded | TrialPaused, worker: Worker) -> TrialEnded | TrialPaused:
    """The event, with a note where an earlier trial of the same child may be to blame."""
    if isinstance(event, TrialEnded) and not event.ending.finished:
        return replace(event, in_used_process=worker.was_used)
    return event


def _environment(slot: int, threads: int, gpus: Sequence[str]) -> Mapping[str, str]:
    environment: dict[str, Any] = dict.fromkeys(THREAD_VARIABLES, str(threads))
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    return environment


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.0f} MB"
