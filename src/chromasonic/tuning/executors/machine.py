"""CPUs, memory and GPUs of this machine, container limits included."""

import math
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

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
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return tuple(listed.stdout.split())
    return ()


def _cgroup(name: str) -> str:
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
