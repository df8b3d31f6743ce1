"""Objective with one fault at a planned moment.

A plan is an empty file `plan-<kind>-<calls>` in the folder $MISCHIEF: the first process in which
`happen` is called so often takes it away and misbehaves.
"""

import ctypes
import os
import signal
import stat
import subprocess
import threading
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


kept = []


def into_the_pipe(content):
    """Writes where the reports of this process go, which are its only socket."""
    for handle in range(3, 256):
        try:
            is_socket = stat.S_ISSOCK(os.fstat(handle).st_mode)
        except OSError:
            continue
        while is_socket and content:
            content = content[os.write(handle, content) :]


def garbage():
    into_the_pipe(b"neither a line of JSON\n nor")


def half_killed():
    into_the_pipe(b'["EpochEnded", {"number": ')
    os.kill(os.getpid(), signal.SIGKILL)


def half_suspended():
    into_the_pipe(b'["EpochEnded", {"number": ')
    os.kill(os.getpid(), signal.SIGSTOP)


def leak_memory():
    kept.append(os.urandom(200 << 20))


def leave_alarm():
    # Later than this trial takes, and before the next one has ended.
    signal.setitimer(signal.ITIMER_REAL, 1.0)


def leave_timer():
    threading.Timer(1.0, os._exit, [3]).start()


def leave_thread():
    threading.Thread(target=time.sleep, args=(3600.0,), daemon=True).start()


def leave_process():
    subprocess.Popen(["sleep", "3600"])


def leave_files():
    kept.extend(open(__file__) for _ in range(200))  # noqa: SIM115, PTH123 - they stay open


KINDS = {
    "garbage": garbage,
    "half_killed": half_killed,
    "half_suspended": half_suspended,
    "leak_memory": leak_memory,
    "leave_alarm": leave_alarm,
    "leave_timer": leave_timer,
    "leave_thread": leave_thread,
    "leave_process": leave_process,
    "leave_files": leave_files,
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
