"""The executor of a search as a user configures it, and what this machine has for it."""

import math
import os
import re
import subprocess
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import psutil

from chromasonic.errors import ExecutorError
from chromasonic.scalars import python_scalar
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.executors._trial_run import Breakable
from chromasonic.tuning.executors.processes.executor import ProcessExecutor
from chromasonic.tuning.executors.protocol import Executor
from chromasonic.tuning.objective import Objective

EXECUTORS = ("process", "inline", "ray")

MEMORY_OF_A_TRIAL = 2**30
"""Bytes that a trial is expected to need, where no limit is given."""

GPU_MEMORY_OF_A_TRIAL = 4 * 2**30
"""Bytes of a GPU that a trial is expected to need, its CUDA context included."""

MOST_TRIALS_ON_A_GPU = 8
"""Beyond these, trials of small models only wait for each other."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class ExecutorConfig:
    """Executor, number of slots, and resources of each trial.

    Attributes:
        executor: `process` (child processes), `inline` (this process, one trial at a time) or
            `ray` (a cluster that is there).
        jobs: How many trials run at the same time; None for what the machine, or the cluster,
            can bear.
        threads: CPU threads of a trial.
        gpus: Names of the GPUs that trials use, in turn, each trial one; empty for none. On Ray
            the number of GPUs of a trial is `gpus_per_trial`.
        memory_limit: Bytes of memory a trial may use, such as `2000000000` or `2GB`.
            Ray reserves so much for a trial, and ends it only where a node runs out of memory.
        address: Of the Ray cluster; None for the one that Ray finds.
        gpus_per_trial: GPUs that a trial gets on Ray.
    """

    executor: str = "process"
    jobs: int | None = None
    threads: int = 1
    gpus: tuple[str, ...] = ()
    memory_limit: int | str | None = None
    address: str | None = None
    gpus_per_trial: float = 0

    def __post_init__(self) -> None:
        for name in ("jobs", "threads", "memory_limit"):
            object.__setattr__(self, name, python_scalar(getattr(self, name)))
        if self.executor not in EXECUTORS:
            raise ValueError(
                f"an executor must be one of {', '.join(EXECUTORS)}, but got {self.executor!r}."
            )
        jobs = 1 if self.jobs is None else self.jobs
        for name, count in (("jobs", jobs), ("threads", self.threads)):
            if not isinstance(count, int) or count < 1:
                raise ValueError(
                    f"{name} must be a whole number of at least 1, but got {count!r}."
                )
        if self.executor == "inline" and self.jobs not in (None, 1):
            raise ExecutorError(
                f"the inline executor must have one job, but got jobs={self.jobs}. "
                "Use executor='process' for more."
            )
        if self.executor == "process" and current_process().daemon:
            raise ExecutorError(
                "the process executor must be able to start processes, but this one is a daemon "
                "of multiprocessing, such as a worker of a Pool, which may not. Use "
                "executor='inline' here, or concurrent.futures.ProcessPoolExecutor for Pool."
            )
        if self.memory_limit is not None:
            object.__setattr__(self, "memory_limit", bytes_of(self.memory_limit))

    def open(self, objective: Objective, breakable: Breakable) -> Executor:
        """The executor.

        Args:
            objective: What is tuned.
            breakable: A context in which Ctrl-C may break an epoch off, for `inline`.

        Raises:
            ExecutorError: Trials cannot run there.
            MissingExtra: Ray is not installed.
        """
        limit: Any = self.memory_limit
        if self.executor == "inline":
            return InlineExecutor(objective, breakable)
        if self.executor == "ray":
            from chromasonic.tuning.executors.on_ray.executor import RayExecutor

            return RayExecutor(
                objective,
                self.jobs,
                address=self.address,
                cpus_per_trial=self.threads,
                gpus_per_trial=self.gpus_per_trial,
                memory_bytes=limit,
            )
        jobs = self.jobs or default_jobs(self.threads, self.gpus)
        return ProcessExecutor(
            objective, jobs, threads=self.threads, gpus=self.gpus, memory_limit=limit
        )


def default_jobs(threads: int, gpus: tuple[str, ...]) -> int:
    """Default number of slots, as CPUs, memory and GPUs allow.

    A GPU is shared by as many trials as its free memory has room for, by all GPUs equally.
    """
    room = min(usable_cpus() // threads, free_memory() // MEMORY_OF_A_TRIAL)
    if not gpus:
        return max(1, room)
    free = free_gpu_memory()
    shares = [free.get(gpu, 0) // GPU_MEMORY_OF_A_TRIAL for gpu in gpus]
    on_each = min(*shares, room // len(gpus), MOST_TRIALS_ON_A_GPU)
    return len(gpus) * max(1, on_each)


def bytes_of(size: int | str) -> int:
    """A number of bytes, which may be written as `2GB` or `500M` (powers of 1024).

    Raises:
        ValueError: The text is no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*", str(size).upper())
    n_bytes = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if n_bytes < 1:
        raise ValueError(f"a size of memory must be such as 2GB or 500MB, but got {size!r}.")
    return n_bytes


CGROUP = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """Number of CPUs that this process may use, at least 1.

    Source: cgroup v2, `cpu.max` holds a quota and a period in microseconds.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota, _, period = _cgroup("cpu.max").partition(" ")
    share = float(quota) / float(period) if quota.isdigit() and period.isdigit() else math.inf
    return max(1, int(min(allowed or 1, share)))


def free_memory() -> int:
    """Bytes of free memory.

    Source: cgroup v2, `memory.max` and `memory.current`.
    """
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    left = int(limit) - int(used) if limit.isdigit() and used.isdigit() else math.inf
    return int(max(0, min(psutil.virtual_memory().available, left)))


def visible_gpus() -> tuple[str, ...]:
    """The names of the NVIDIA GPUs that this process may use."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(name.strip() for name in allowed.split(",") if name.strip() not in ("", "-1"))
    return tuple(row[0] for row in _ask_driver("index"))


def free_gpu_memory() -> dict[str, int]:
    """Bytes of free memory of each NVIDIA GPU, by its index and by its UUID."""
    free: dict[str, int] = {}
    for index, uuid, megabytes in _ask_driver("index,uuid,memory.free"):
        if megabytes.isdigit():
            free[index] = free[uuid] = int(megabytes) * 2**20
    return free


def _ask_driver(columns: str) -> list[list[str]]:
    """A row of columns for each NVIDIA GPU; none where there is no driver."""
    command = ["nvidia-smi", f"--query-gpu={columns}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in told.stdout.splitlines()]
    return [row for row in rows if len(row) == len(columns.split(",")) and all(row)]


def _cgroup(name: str) -> str:
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
