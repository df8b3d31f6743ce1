"""Scenarios on a real Ray cluster with results as JSON: a script that test_ray.py runs.

It must run in a network namespace and a process namespace of its own: Ray listens on all
interfaces.
"""

import fcntl
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import types
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from chromasonic import tune
from chromasonic.errors import ExecutorError
from chromasonic.tuning._checkpoints import latest_checkpoint
from chromasonic.tuning.executors import _trial_run as trial_run
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.executors.on_ray import _cluster as ray_cluster
from chromasonic.tuning.executors.on_ray.executor import RayExecutor
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.objective import Epoch, Trial

ADDRESS = "127.0.0.1:6379"
HOME = Path(sys.argv[1])
AT_MOST_S = 60.0


# The cluster


def bring_up_loopback():
    get_flags_and_set_them = 0x8914  # SIOCSIFFLAGS
    up_and_running = 0x1 | 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", up_and_running)
        fcntl.ioctl(any_socket, get_flags_and_set_them, request)


def ray_command(*arguments):
    done = subprocess.run(
        [Path(sys.executable).with_name("ray"), *arguments], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)


def start_head():
    ray_command(
        "start",
        "--head",
        "--node-ip-address=127.0.0.1",
        "--port=6379",
        "--num-cpus=1",
        "--include-dashboard=false",
        "--object-store-memory=100000000",
        f"--temp-dir={HOME / 'ray'}",
    )


def add_node():
    """The process of the new node."""
    before = set(processes("raylet/raylet"))
    ray_command("start", f"--address={ADDRESS}", "--num-cpus=1", "--object-store-memory=100000000")
    (node,) = set(processes("raylet/raylet")) - before
    return node


def processes(name):
    """Those that live and have that in their command line."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if name in " ".join(process.info["cmdline"] or ())]


def kill(process):
    # This is the first process of its namespace: it must bury the dead, or a zombie of a node
    # passes for a living one with the workers.
    process.kill()
    process.wait()


# Objectives


def walk(params, trial):
    """Every loss depends on all before it and on a random state of its own."""
    rng, place, epoch = random.Random(trial.seed), params["x"], 0
    if trial.checkpoint is not None:
        place, epoch, *state = json.loads((trial.checkpoint / "deep" / "walk.json").read_text())
        rng.setstate((state[0], tuple(state[1]), state[2]))

    def save(folder, saved):
        (folder / "deep").mkdir()
        (folder / "deep" / "walk.json").write_text(json.dumps(saved))

    while epoch < 6:
        epoch += 1
        place = 0.9 * place + 0.1 * rng.random()
        yield Epoch(place, save=partial(save, saved=[place, epoch, *rng.getstate()]))


def whereabouts(params, trial):
    """Goes on for ever, in short steps."""
    import ray

    metrics = {"pid": os.getpid(), "node": ray.get_runtime_context().get_node_id()}
    while True:
        time.sleep(0.02)
        yield Epoch(1.0, metrics=metrics, save=lambda folder: (folder / "x").write_text("x"))


def saving_often(params, trial):
    trial_run.CHECKPOINT_EVERY_S = 0.0
    yield from whereabouts(params, trial)


def busy(params):
    """Has one epoch, then another that never ends."""
    yield 1.0
    while params["busy"]:
        sum(range(100))
    yield 2.0


def hanging(params):
    yield Epoch(1.0, metrics={"scratch": scratch_folders()})
    time.sleep(3600 if params["hangs"] else 0)


def failing(params):
    yield 1.0
    raise {"memory": MemoryError, "other": ZeroDivisionError}[params["error"]]("on purpose")


# What is done with an executor


@contextmanager
def executor(objective, slots=1, **settings):
    opened = RayExecutor(objective, slots, address=ADDRESS, **settings)
    try:
        yield opened
    finally:
        opened.close()


def task(number=7, *, folder=None, checkpoint=None, epochs=(), waits=True, **params):
    return Task(Trial(number, 42, checkpoint), params, list(epochs), folder, waits)


def events_until(opened, is_last, *, goes_on=True):
    """All events up to the first of that kind."""
    events = []
    until = time.monotonic() + AT_MOST_S
    while not any(is_last(event) for event in events):
        if time.monotonic() > until:
            raise TimeoutError(f"it took too long; so far: {events}")
        for event in opened.poll(0.2):
            events.append(event)
            if isinstance(event, EpochEnded) and goes_on:
                opened.go_on(event.number)
    return events


def is_end(event):
    return isinstance(event, TrialEnded | TrialPaused)


def is_epoch(n):
    return lambda event: isinstance(event, EpochEnded) and event.row.epoch == n


def told(events):
    """The events as JSON."""
    lines = []
    for event in events:
        line = [type(event).__name__, event.number]
        if isinstance(event, EpochEnded):
            line += [event.row.epoch, event.row.loss]
        if isinstance(event, TrialEnded):
            line += [event.ending, event.reason, event.log]
        lines.append(line)
    return lines


def scratch_folders():
    return sorted(path.name for path in Path(tempfile.gettempdir()).glob("chromasonic-*"))


def message_of(function):
    try:
        function()
    except ExecutorError as error:
        return str(error)
    raise AssertionError("no ExecutorError")


# The scenarios, in their order


def no_cluster():
    with socket.create_server(("127.0.0.1", 7000)):
        ray_cluster.CONNECT_WITHIN_S = 3.0
        not_ray = message_of(lambda: RayExecutor(walk, 1, address="127.0.0.1:7000"))
        ray_cluster.CONNECT_WITHIN_S = 30.0
    return {
        "nothing": message_of(lambda: RayExecutor(walk, 1, address="127.0.0.1:7001")),
        "not_ray": not_ray,
        "auto": message_of(lambda: RayExecutor(walk, 1, address=None)),
        "client": message_of(lambda: RayExecutor(walk, 1, address="ray://127.0.0.1:10001")),
        "nonsense": message_of(lambda: RayExecutor(walk, 1, address="nonsense")),
    }


def curves():
    start_head()
    found = {}
    for waits in (True, False):
        with executor(walk) as opened:
            opened.submit(task(waits=waits, x=3.0))
            found[str(waits)] = told(events_until(opened, is_end))
            if waits:
                # Without the word to go on it must not go on.
                opened.submit(task(x=3.0))
                events = events_until(opened, is_epoch(1), goes_on=False)
                events += [event for _ in range(5) for event in opened.poll(0.1)]
                found["unasked"] = told(events)
    return found


def reference():
    inline = InlineExecutor(walk)
    inline.submit(task(x=3.0))
    return told(events_until(inline, is_end))


def pause_and_go_on():
    folder = HOME / "paused"
    with executor(walk) as opened:
        opened.submit(task(folder=folder, x=3.0))
        events_until(opened, is_epoch(2))
        opened.pause(7)
        first = events_until(opened, is_end, goes_on=False)
        checkpoint, epochs = latest_checkpoint(folder)
        opened.submit(task(folder=folder, checkpoint=checkpoint, epochs=epochs, x=3.0))
        second = events_until(opened, is_end)
    return {
        "first": told(first),
        "checkpoint": checkpoint.name,
        "losses_there": [row.loss for row in epochs],
        "second": told(second),
        "at_the_end": sorted(str(p.relative_to(folder)) for p in folder.rglob("*")),
    }


def nowhere_to_save():
    (HOME / "a file").touch()
    with executor(walk) as opened:
        opened.submit(task(folder=HOME / "a file" / "folder", x=3.0))
        end = events_until(opened, is_end)[-1]
    return {"ending": end.ending, "warning": end.warning}


def go_on_after_a_kill():
    folder = HOME / "killed"
    with executor(saving_often) as opened:
        opened.submit(task(folder=folder, waits=False))
        events_until(opened, is_epoch(3))
        opened.kill(7)
        checkpoint, epochs = latest_checkpoint(folder)
        opened.submit(task(folder=folder, checkpoint=checkpoint, epochs=epochs))
        events = events_until(opened, lambda event: isinstance(event, EpochEnded))
    return {"n_saved": len(epochs), "next": told(events)[-1][:3]}


def in_the_middle():
    """Pause and stop within an epoch that never ends, and before a trial has begun."""
    folder = HOME / "middle"
    with executor(busy) as opened:
        opened.submit(task(folder=folder, busy=True))
        events_until(opened, is_epoch(1))
        opened.submit(task(8, busy=True))
        opened.pause(8)
        waiting = opened.poll(0.1)
        time.sleep(0.3)
        opened.pause(7)
        paused = events_until(opened, is_end)
        opened.submit(task(9, busy=True))
        events_until(opened, is_epoch(1))
        opened.stop(9)
        opened.submit(task(10, busy=False))
        after_stop = events_until(opened, is_end)
    return {
        "waiting": told(waiting),
        "paused": told(paused),
        "saved": latest_checkpoint(folder) is not None,
        "after_stop": told(after_stop),
    }


def kill_what_hangs():
    with executor(hanging) as opened:
        opened.submit(task(hangs=True))
        epoch = events_until(opened, is_epoch(1))[-1]
        time.sleep(0.3)
        opened.kill(7)
        opened.submit(task(8, hangs=False))
        events = events_until(opened, is_end)
    (later,) = [event for event in events if isinstance(event, EpochEnded)]
    return {
        "events": told(events),
        "scratch_before": epoch.row.metrics["scratch"],
        "scratch_after": later.row.metrics["scratch"],
    }


def errors():
    found = {}
    with executor(failing) as opened:
        for number, error in enumerate(["memory", "other"]):
            opened.submit(task(number, error=error))
            found[error] = told(events_until(opened, is_end))
    return found


def not_there():
    """An objective of a module that only this process has."""
    module = types.ModuleType("only_here")
    sys.modules["only_here"] = module
    exec("def objective(params): return 1.0", module.__dict__)
    with executor(module.objective) as opened:
        opened.submit(task())
        return message_of(lambda: events_until(opened, is_end))


def no_room():
    return message_of(lambda: RayExecutor(walk, None, address=ADDRESS, cpus_per_trial=5))


def a_connection_of_the_user():
    import ray

    before = signal.getsignal(signal.SIGTERM)
    with executor(walk):
        connected_while = ray.is_initialized()
    found = {
        "handler_stays": signal.getsignal(signal.SIGTERM) == before,
        "while": connected_while,
        "after": ray.is_initialized(),
    }
    ray.init(address=ADDRESS, log_to_driver=False, logging_level="ERROR")
    with executor(walk) as opened:
        opened.submit(task(x=3.0))
        events_until(opened, is_end)
    found["after_with_own"] = ray.is_initialized()
    ray.shutdown()
    return found


def killed_worker():
    with executor(whereabouts) as opened:
        opened.submit(task())
        pid = events_until(opened, is_epoch(2))[-1].row.metrics["pid"]
        os.kill(pid, signal.SIGKILL)
        lost = events_until(opened, is_end)
        opened.submit(task(8))
        events = events_until(opened, is_epoch(1))
        other = events[-1].row.metrics["pid"]
    return {"lost": told(lost)[-1], "next": told(events), "is_new": other != pid}


def nodes_come_and_go():
    second_node = add_node()
    with executor(whereabouts, None) as opened:
        slots = opened.slots
        opened.submit(task(0))
        opened.submit(task(1))
        nodes = {}
        while len(nodes) < 2:
            for event in events_until(opened, lambda e: isinstance(e, EpochEnded)):
                if isinstance(event, EpochEnded):
                    nodes[event.number] = event.row.metrics["node"]
        kill(second_node)
        lost = [event for event in events_until(opened, is_end) if is_end(event)]
        opened.submit(task(2))
        seen = [event for _ in range(10) for event in opened.poll(0.1)]
        for event in seen:
            opened.go_on(event.number)
        add_node()
        events = events_until(opened, lambda e: isinstance(e, EpochEnded) and e.number == 2)
        third = [event for event in events if event.number == 2][-1].row.metrics["node"]
    head = nodes[({0, 1} - {lost[0].number}).pop()]
    return {
        "slots": slots,
        "n_nodes": len({*nodes.values(), third}),
        "lost": told(lost),
        "began_too_early": any(isinstance(e, TrialStarted) and e.number == 2 for e in seen),
        "on_the_new_node": third not in nodes.values() and third != head,
    }


def search():
    """The same search on the cluster and in processes of this machine."""
    outcomes = {}
    for place in ("ray", "process"):
        address = ADDRESS if place == "ray" else None
        settings = {"jobs": 2, "seed": 1, "executor": place, "address": address, "verbose": False}
        result = tune(walk, {"x": (1.0, 5.0)}, 6, **settings)
        outcomes[place] = [
            [
                trial.number,
                trial.ending,
                trial.params,
                [row.loss for row in trial.learning_curve],
            ]
            for trial in result.trials
        ]
    return outcomes


def leftovers():
    with executor(walk) as opened:
        # It sweeps up what was left behind where workers were killed.
        opened.submit(task(x=3.0))
        events_until(opened, is_end)
    until = time.monotonic() + 10
    while processes("ray::RayWorker") and time.monotonic() < until:
        time.sleep(0.1)
    return {"workers": len(processes("ray::RayWorker")), "scratch": scratch_folders()}


def lost_cluster():
    opened = RayExecutor(whereabouts, 1, address=ADDRESS, patience_s=3.0)
    opened.submit(task())
    events_until(opened, is_epoch(1))
    for name in ("gcs/gcs_server", "raylet/raylet"):
        for process in processes(name):
            kill(process)
    lost = [event for event in events_until(opened, is_end) if is_end(event)]
    opened.submit(task())
    message = message_of(lambda: events_until(opened, is_end))
    opened.close()
    return {"lost": told(lost), "message": message}


SCENARIOS = (
    no_cluster,
    curves,
    reference,
    pause_and_go_on,
    nowhere_to_save,
    go_on_after_a_kill,
    in_the_middle,
    kill_what_hangs,
    errors,
    not_there,
    no_room,
    a_connection_of_the_user,
    killed_worker,
    nodes_come_and_go,
    search,
    leftovers,
    lost_cluster,
)


def main():
    bring_up_loopback()
    found = {}
    for scenario in SCENARIOS:
        started = time.monotonic()
        try:
            found[scenario.__name__] = scenario()
        except Exception:  # noqa: BLE001 - one that fails must not hide the others
            found[scenario.__name__] = traceback.format_exc()
        sys.stderr.write(f"{scenario.__name__} {time.monotonic() - started:.1f} s\n")
    (HOME / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
