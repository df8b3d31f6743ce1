"""Trials on a Ray cluster, one long-lived actor a slot."""

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from chromasonic.errors import ExecutorError, one_line
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors._sending import pickled_objective
from chromasonic.tuning.executors.on_ray._cluster import RayCluster, end_by, last_line
from chromasonic.tuning.executors.on_ray._packing import pack, unpack_checkpoint
from chromasonic.tuning.executors.on_ray._worker import RayWorker, Report
from chromasonic.tuning.executors.processes.child import Command
from chromasonic.tuning.executors.protocol import (
    Event,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.objective import Objective

GRACE_S = 2.0
"""Time that trials have to clean up at the end before they are killed."""


@dataclass
class _Run:
    """A task that was given to an actor.

    Attributes:
        task: The task.
        ticket: Number of this run for the actor.
        actor: The actor.
        done: Ray's reference to the end of the run.
        next_report: Ray's reference to the next report.
        has_started: True once the actor has reported.
        is_forgotten: True if later reports are ignored.
        is_last: True if the actor is not used again.
    """

    task: Task
    ticket: int
    actor: Any
    done: Any
    next_report: Any
    has_started: bool = False
    is_forgotten: bool = False
    is_last: bool = False


class RayExecutor:
    """Runs trials in actors of a Ray cluster, which may lose workers and nodes, and gain nodes.

    An actor is reused from trial to trial, and replaced after a kill, out of memory or an
    exception. Trials for which the cluster has no room wait. Ray itself retries nothing.

    Args:
        objective: What is tuned; it travels to the workers by cloudpickle.
        slots: How many trials run at the same time; None for what the nodes have room for now.
        address: `host:port` of the cluster's head; None or `auto` for a cluster of this machine.
        cpus_per_trial: CPUs that Ray sets aside for a trial.
        gpus_per_trial: GPUs, or a part of one.
        memory_bytes: Memory that Ray sets aside for a trial; it does not hold a trial to it.
        patience_s: How long the cluster may be out of reach before it is given up.

    Raises:
        MissingExtra: Ray is not installed.
        ExecutorError: The cluster cannot be reached or has no room for a trial, or the objective
            cannot be sent.
    """

    def __init__(
        self,
        objective: Objective,
        slots: int | None,
        *,
        address: str | None,
        cpus_per_trial: float = 1,
        gpus_per_trial: float = 0,
        memory_bytes: int | None = None,
        patience_s: float = 60.0,
    ) -> None:
        pickled = pickled_objective(objective)
        self._cluster = RayCluster(address)
        self._ray = self._cluster.ray
        try:
            self.slots = slots or self._cluster.slots(
                cpus=cpus_per_trial, gpus=gpus_per_trial, memory=memory_bytes or 0
            )
        except ExecutorError:
            self._cluster.close()
            raise
        self._pickled = self._ray.put(pickled)
        self._actor_class = _actor_class(
            self._ray, num_cpus=cpus_per_trial, num_gpus=gpus_per_trial, memory=memory_bytes
        )
        self._patience_s = patience_s
        self._well_at = time.monotonic()
        self._tickets = count()
        self._queue: deque[Task] = deque()
        self._runs: list[_Run] = []
        self._idle: list[Any] = []
        self._events: list[Event] = []

    def submit(self, task: Task) -> None:
        """Starts a trial, as soon as an actor is free and the cluster has room."""
        self._queue.append(task)
        self._start_queued()

    def poll(self, timeout_s: float) -> list[Event]:
        """Waits for events of trials, and returns them."""
        self._check_cluster()
        self._start_queued()
        if not self._events:
            self._listen(timeout_s)
            self._start_queued()
        events, self._events = self._events, []
        return events

    def go_on(self, number: int) -> None:
        """Lets a trial that waits after an epoch begin the next one."""
        run = self._run_of(number)
        if run is not None and run.task.waits:
            self._command(run, Command.GO_ON)

    def stop(self, number: int) -> None:
        """Ends a trial, in the middle of an epoch if need be."""
        run = self._forget(number)
        if run is not None and run.has_started:
            self._command(run, Command.STOP)
        elif run is not None:
            self._discard(run)

    def kill(self, number: int) -> None:
        """Ends a trial and its actor at once."""
        run = self._forget(number)
        if run is not None:
            self._discard(run)

    def pause(self, number: int) -> None:
        """Asks a trial to stop where it is."""
        run = self._run_of(number)
        if run is not None and run.has_started:
            self._command(run, Command.PAUSE)
        elif run is not None or any(task.number == number for task in self._queue):
            self.stop(number)
            self._events.append(TrialPaused(number))

    def close(self) -> None:
        """Ends all actors, and disconnects unless the process was connected before."""
        self._queue.clear()
        if not self._cluster.look():
            self._end_runs()
            for actor in [*self._idle, *(run.actor for run in self._runs)]:
                self._ray.kill(actor, no_restart=True)
        self._runs, self._idle, self._pickled = [], [], None
        self._cluster.close()

    def _start_queued(self) -> None:
        while self._queue and len(self._runs) < self.slots and not self._cluster.look():
            self._begin(self._queue.popleft())

    def _begin(self, task: Task) -> None:
        checkpoint = task.trial.checkpoint and pack(task.trial.checkpoint)
        actor = self._idle.pop() if self._idle else self._actor_class.remote(self._pickled)
        ticket = next(self._tickets)
        done = actor.run.remote(ticket, task, checkpoint)
        self._runs.append(_Run(task, ticket, actor, done, _request_report(actor, ticket)))

    def _check_cluster(self) -> None:
        """Waits for a cluster that is out of reach; after `patience_s` its trials are lost."""
        if not self._cluster.unreachable:
            self._well_at = time.monotonic()
        elif time.monotonic() - self._well_at >= self._patience_s:
            reason = (
                "the Ray cluster must be within reach, "
                f"but {self._cluster.unreachable} has not been for {self._patience_s:g} s"
            )
            if not self._runs:
                raise ExecutorError(f"{reason}. Start it again, then go on with the study.")
            self._events += [
                TrialEnded(run.task.number, Ending.LOST, reason)
                for run in self._runs
                if not run.is_forgotten
            ]
            self._runs = []

    def _listen(self, timeout_s: float) -> None:
        waited_for = {
            reference: run
            for run in self._runs
            for reference in (run.done, run.next_report)
            if reference
        }
        if not waited_for or self._cluster.unreachable:
            time.sleep(timeout_s)
            return
        references = list(waited_for)
        self._ray.wait(references, num_returns=1, timeout=timeout_s)
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        for reference in ready:
            if waited_for[reference] in self._runs:
                self._receive(waited_for[reference], reference)

    def _receive(self, run: _Run, reference: Any) -> None:
        try:
            report = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._on_worker_exit(run, error)
            return
        if reference == run.done:
            # The last report says so, too.
            run.done = None
        else:
            self._handle_report(run, report)

    def _handle_report(self, run: _Run, report: Report) -> None:
        if report.unfit:
            raise ExecutorError(
                f"the workers of the Ray cluster must be able to load the objective, but: "
                f"{report.unfit}. Install there what it needs."
            )
        run.has_started = True
        run.is_last |= any(
            isinstance(e, TrialEnded) and not e.ending.finished for e in report.events
        )
        if not run.is_forgotten:
            self._events += _with_stored_checkpoint(run.task, report)
            # The same trial may be submitted again from now on.
            run.is_forgotten = any(isinstance(e, TrialEnded | TrialPaused) for e in report.events)
        if not report.over:
            run.next_report = _request_report(run.actor, run.ticket)
        elif run.is_last:
            self._discard(run)
        else:
            self._runs.remove(run)
            self._idle.append(run.actor)

    def _on_worker_exit(self, run: _Run, error: Exception) -> None:
        self._discard(run)
        if getattr(error, "actor_init_failed", False):
            raise ExecutorError(
                "the workers of the Ray cluster must have the same version of chromasonic, but: "
                f"{last_line(error)}. Install it there."
            )
        if not run.is_forgotten:
            self._events.append(end_by(error, run.task.number, self._ray.exceptions))

    def _discard(self, run: _Run) -> None:
        self._runs.remove(run)
        self._ray.kill(run.actor, no_restart=True)

    def _end_runs(self) -> None:
        """Stops all runs, and gives them `GRACE_S` to clean up."""
        for run in list(self._runs):
            if not run.is_forgotten:
                self.stop(run.task.number)
        until = time.monotonic() + GRACE_S
        while self._runs and time.monotonic() < until:
            with suppress(ExecutorError):
                self._listen(0.1)

    def _forget(self, number: int) -> _Run | None:
        """Ignores later reports of a trial; returns its run, if an actor has it."""
        self._queue = deque(task for task in self._queue if task.number != number)
        self._events = [event for event in self._events if event.number != number]
        run = self._run_of(number)
        if run is not None:
            run.is_forgotten = True
        return run

    def _run_of(self, number: int) -> _Run | None:
        runs = (run for run in self._runs if not run.is_forgotten and run.task.number == number)
        return next(runs, None)

    def _command(self, run: _Run, command: Command) -> None:
        run.actor.command.options(concurrency_group="commands").remote(run.ticket, command)


def _actor_class(ray: Any, **needs: float | None) -> Any:
    as_actor = ray.remote(
        concurrency_groups={"reports": 1, "commands": 1},
        max_restarts=0,
        max_task_retries=0,
        **needs,
    )
    return as_actor(RayWorker)


def _request_report(actor: Any, ticket: int) -> Any:
    return actor.report.options(concurrency_group="reports").remote(ticket)


def _with_stored_checkpoint(task: Task, report: Report) -> list[Event]:
    """Stores the checkpoint that came with a report, and returns the event in it."""
    if report.checkpoint is None or task.folder is None:
        return report.events
    try:
        unpack_checkpoint(report.checkpoint, task.folder)
    except OSError as error:
        warning = f"trial {task.number} could not write its checkpoint: {one_line(error)}"
        *earlier, last = report.events
        if not isinstance(last, TrialStarted):
            return [*earlier, replace(last, warning=warning)]
    return report.events
