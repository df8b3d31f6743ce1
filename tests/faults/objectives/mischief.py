"""Objective with one fault at a planned moment.

A plan is an empty file `plan-<kind>-<calls>` in the folder $MISCHIEF: the first process in which
`happen` is called so often takes it away and misbehaves.
"""

import ctypes
import os
import time
from pathlib import Path

calls = 0


class OutOfMemoryError(RuntimeError):
    """Simulated: what PyTorch raises when a GPU has no memory left has this name."""


def happen():
    """A loss to use instead of the true one, or None; most of the time nothing happens."""
    global calls
    calls += 1
    for plan in Path(os.environ["MISCHIEF"]).glob("plan-*"):
        _, kind, after = plan.name.split("-")
        if calls < int(after):
            continue
        try:
            plan.rename(plan.with_name(f"done-{kind}"))
        except FileNotFoundError:
            continue  # Another process was first.
        return KINDS[kind]()
    return None


def hang():
    while True:
        time.sleep(3600)


def busy():
    while True:
        pass


def nan():
    return float("nan")


def infinity():
    return float("inf")


def hog():
    eaten = []
    while True:
        eaten.append(os.urandom(1 << 24))
        time.sleep(0.01)


def memory_error():
    raise MemoryError


def cuda_memory():
    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB (simulated)")


def exception():
    raise ValueError("this was to be expected")


def crash():
    ctypes.string_at(0)


def leave():
    os._exit(7)


KINDS = {
    "hang": hang,
    "busy": busy,
    "nan": nan,
    "infinity": infinity,
    "hog": hog,
    "memory_error": memory_error,
    "cuda_memory": cuda_memory,
    "exception": exception,
    "crash": crash,
    "leave": leave,
}
