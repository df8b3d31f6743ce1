"""Faults of a search, and the outcome that each must have."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections import Counter

import psutil

INSIDE = {
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
"""What goes wrong inside a trial costs that trial, which then has this ending."""


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


OUTSIDE = {
    "driver_killed": driver_killed,
    "worker_killed": to_a_worker(psutil.Process.kill),
    # SIGSTOP: the process is there and does nothing any more.
    "worker_stopped": to_a_worker(psutil.Process.suspend),
    "ctrl_c": ctrl_c,
    "disk_full": disk_full,
}
"""What others do to a search, by name: but for a stopped worker, which costs its trial, the
search ends as if nothing had happened."""


def endings(results):
    return Counter(trial["ending"] for trial in results["trial_results"])
