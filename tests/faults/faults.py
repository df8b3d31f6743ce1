"""Faults of a search, and the outcome that each must have."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import Counter

import psutil
from arena import N_TRIALS

HARMLESS = (
    "half_killed",
    "leak_memory",
    "leave_alarm",
    "leave_timer",
    "leave_thread",
    "leave_process",
    "leave_files",
)
"""What a trial does that must cost neither itself nor another one."""

INSIDE = {
    "garbage": "failed",
    "half_suspended": "timed_out",
    "hang": "timed_out",
    "busy": "timed_out",
    "nan": "diverged",
    "infinity": "diverged",
    "hog": "out_of_memory",
    "memory_error": "out_of_memory",
    "cuda_memory": "out_of_memory",
    "exception": "failed",
    "crash": "failed",
    "leave": "failed",
}
"""What goes wrong inside a trial costs that trial, which then has this ending.

Where other trials had run in the same process, a failure is tried again first.
"""

TRIED_AGAIN = ("out_of_memory", "failed")


def inside(kind):
    def happen(arena, rng, longest_s):
        # Two processes count for themselves, so half of all calls is late.
        arena.plan(kind, rng.randint(1, 20))
        arena.begin()
        assert arena.end() == 0, arena.log
        return arena.ended()

    return happen


def driver_killed(arena, rng, longest_s):
    arena.begin()
    arena.wait(rng.uniform(0.0, longest_s))
    arena.kill()
    before = arena.ended()
    arena.finish()
    return before


def to_a_worker(act):
    def happen(arena, rng, longest_s):
        arena.begin()
        arena.wait(rng.uniform(0.0, longest_s))
        for worker in rng.sample(workers := arena.workers(), min(1, len(workers))):
            with contextlib.suppress(psutil.NoSuchProcess):
                act(worker)
        before = arena.ended()
        assert arena.end() == 0, arena.log
        return before

    return happen


def ctrl_c(arena, rng, longest_s):
    arena.begin()
    arena.wait(rng.uniform(0.0, longest_s))
    arena.process.send_signal(signal.SIGINT)
    # While Python starts nobody minds the signal yet.
    assert arena.end(30) in (0, 1, 130, -signal.SIGINT), arena.log
    before = arena.ended()
    arena.finish()
    return before


def postgresql_silent(arena, rng, longest_s, server):
    arena.begin()
    arena.wait(rng.uniform(0.0, longest_s))
    with server.silent():
        time.sleep(rng.uniform(0.5, 5.0))
    before = arena.ended()
    if arena.end() != 0:
        assert "error: " in arena.log, arena.log
        arena.finish()
    return before


def ctrl_c_while_postgresql_is_silent(arena, rng, longest_s, server):
    arena.begin()
    arena.wait(rng.uniform(0.0, longest_s))
    with server.silent():
        time.sleep(rng.uniform(0.0, 2.0))
        arena.process.send_signal(signal.SIGINT)
        code = arena.end(40)
    # Otherwise it could not store what it had to, or had not opened its study yet.
    assert code in (0, 130, -signal.SIGINT) or "error: " in arena.log, arena.log
    before = arena.ended()
    arena.finish()
    return before


def postgresql_killed(arena, rng, longest_s, server):
    arena.begin()
    arena.wait(rng.uniform(0.0, longest_s))
    server.kill()
    time.sleep(rng.uniform(0.0, 2.0))
    server.start()
    before = arena.ended()
    # A search that was just about to open its study says so in one line; the next one goes on.
    if arena.end() != 0:
        assert "error: " in arena.log, arena.log
        arena.finish()
    return before


class SmallDisk:
    """A file system of a few megabytes."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=12m", "chromasonic-test", str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    def fill(self):
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", 0) as filler:
            while True:
                filler.write(bytes(4096))

    def free(self):
        (self.folder / "filler").unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True, capture_output=True)


def disk_full(arena, rng, longest_s):
    disk = SmallDisk(arena.output)
    try:
        arena.begin()
        arena.wait(rng.uniform(0.0, longest_s))
        disk.fill()
        time.sleep(rng.uniform(0.2, 2.0))
        has_ended = arena.process.poll() is not None
        disk.free()
        before = arena.ended() if has_ended else {}
        if arena.end() != 0:
            # It could not even begin, or not write its last file, and said so in one line.
            assert "error: " in arena.log, arena.log
            before = arena.ended()
            arena.finish()
        saved = arena.folder / "saved"
        shutil.copytree(arena.output, saved)
    finally:
        with contextlib.suppress(OSError, psutil.Error):
            arena.process.kill()
            arena.process.wait()
        disk.unmount()
    arena.output.rmdir()
    saved.rename(arena.output)
    return before


def study_lost(arena, rng, longest_s):
    """The file of the study is removed, emptied or replaced: the search says that it is gone."""
    arena.begin()
    arena.wait(rng.uniform(0.0, longest_s))
    study = arena.output / "study.db"
    had_begun = study.exists() and bool(arena.ended())
    match rng.choice(["remove", "empty", "replace"]):
        case "remove":
            study.unlink(missing_ok=True)
        case "empty" if study.exists():
            study.write_bytes(b"")
        case "replace" if study.exists():
            other = study.with_name("other.db")
            other.write_bytes(study.read_bytes()[:8192])
            other.replace(study)
    may_have_ended = arena.process.poll() is not None
    code = arena.end()
    if had_begun and not may_have_ended:
        assert code != 0 or len(arena.ended()) == N_TRIALS, arena.log
    if code != 0:
        assert "error: " in arena.log, arena.log
    for leftover in arena.output.glob("study.db*"):
        leftover.unlink()
    # Only the lost study knew whose they are.
    shutil.rmtree(arena.output / "checkpoints", ignore_errors=True)
    arena.finish()
    return {}


def folder_lies(arena, rng, longest_s):
    """After a kill the folder holds links, pipes, folders and nonsense where files were."""
    arena.begin()
    arena.wait(rng.uniform(0.5 * longest_s, longest_s))
    arena.kill()
    before = arena.ended()
    canary = arena.folder / "canary"
    canary.write_text("alive")
    arena.output.mkdir(exist_ok=True)
    names = ("optimization_results.json", "best_hyperparameters.json", "optimization_report.txt")
    for name in names:
        path = arena.output / name
        path.unlink(missing_ok=True)
        match rng.choice(["link", "pipe", "nonsense"]):
            case "link":
                path.symlink_to(canary)
            case "pipe":
                os.mkfifo(path)
            case "nonsense":
                path.write_bytes(rng.randbytes(100))
    (arena.output / "winner.json").write_text('{"trial": 1}')
    for rows in arena.output.glob("checkpoints/*/*/*/epochs.json"):
        if rng.random() < 0.5:
            rows.write_text(rng.choice(["", "[]", "[1, 2]", '{"epoch": 1}', "[" * 10000]))
            (rows.parent.parent / "epoch-9.bak").mkdir()
    arena.finish()
    assert canary.read_text() == "alive"
    return before


OUTSIDE = {
    "folder_lies": folder_lies,
    "study_lost": study_lost,
    "driver_killed": driver_killed,
    "worker_killed": to_a_worker(psutil.Process.kill),
    # SIGSTOP: the process is there and does nothing any more.
    "worker_stopped": to_a_worker(psutil.Process.suspend),
    "ctrl_c": ctrl_c,
    "disk_full": disk_full,
}
"""What others do to a search, by name: but for a stopped worker, which costs its trial, the
search ends as if nothing had happened."""


WITH_A_SERVER = {
    "postgresql_killed": postgresql_killed,
    "postgresql_silent": postgresql_silent,
    "ctrl_c_while_postgresql_is_silent": ctrl_c_while_postgresql_is_silent,
}


def endings(results):
    return Counter(trial["ending"] for trial in results["trial_results"])
