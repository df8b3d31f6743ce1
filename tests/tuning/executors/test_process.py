import atexit
import ctypes
import multiprocessing
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import pytest

from chromasonic.errors import ExecutorError
from chromasonic.tuning._checkpoints import latest_checkpoint
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors import _trial_run as trial_run
from chromasonic.tuning.executors.processes import _worker as worker_module
from chromasonic.tuning.executors.processes import executor as executor_module
from chromasonic.tuning.executors.processes.executor import THREAD_VARIABLES, ProcessExecutor
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.objective import Epoch, Trial

HANGING_S = 60.0
"""What takes so long hangs."""

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals of other systems differ"),
    pytest.mark.usefixtures("functions_travel"),
]


@pytest.fixture
def open_executor():
    opened = []

    def open_one(objective, slots=1, **options):
        opened.append(ProcessExecutor(objective, slots, **options))
        return opened[-1]

    yield open_one
    for executor in opened:
        executor.close()


def task(number, folder=None, waits=True):
    """A trial; it continues what its folder holds."""
    checkpoint, rows = (folder and latest_checkpoint(folder)) or (None, [])
    return Task(Trial(number, 42 + number, checkpoint), {"x": 0.5}, rows, folder, waits)


def hear(executor, is_enough, go_on=True):
    """All events until they are enough; trials go on, unless they are not to."""
    events, deadline = [], time.monotonic() + HANGING_S / 2
    while not is_enough(events):
        assert time.monotonic() < deadline, f"nothing more came after {events}"
        for event in executor.poll(0.2):
            events.append(event)
            if go_on and isinstance(event, EpochEnded):
                executor.go_on(event.number)
    return events


def run(executor, *tasks):
    """The last event of each trial, in their order."""
    for each in tasks:
        executor.submit(each)
    events = hear(executor, lambda events: len(last_events(events)) == len(tasks))
    return [last_events(events)[each.number] for each in tasks]


def last_events(events):
    return {e.number: e for e in events if isinstance(e, TrialEnded | TrialPaused)}


def has_epoch(number):
    """True if an epoch of that number has ended."""
    return lambda events: any(isinstance(e, EpochEnded) and e.row.epoch == number for e in events)


def metric(executor, task, name):
    """Metrics of the only epoch of a trial."""
    executor.submit(task)
    events = hear(executor, last_events)
    return next(event.row.metrics[name] for event in events if isinstance(event, EpochEnded))


def tells_its_process(params, trial):
    yield Epoch(0.0, metrics={"pid": os.getpid()})


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(is_so):
    deadline = time.monotonic() + HANGING_S / 4
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def group_of(pid):
    """Living processes of the group that a child has led."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pid and not is_gone(process.pid):
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


# Children


def test_a_trial_runs_in_another_process_and_tells_what_it_does(open_executor):
    executor = open_executor(tells_its_process)
    executor.submit(task(7))
    started, epoch, end = hear(executor, last_events)
    assert started == TrialStarted(7)
    assert epoch.row.seconds >= 0
    assert epoch.row.metrics["pid"] != os.getpid()
    assert (epoch.number, epoch.row.epoch, epoch.row.loss) == (7, 1, 0.0)
    assert end == TrialEnded(7, Ending.COMPLETED)


def test_the_trial_of_a_child_that_was_suspended_while_idle_goes_to_another(
    open_executor, monkeypatch
):
    monkeypatch.setattr(worker_module, "BEGIN_WITHIN_S", 0.3)
    executor = open_executor(tells_its_process)
    executor.submit(task(0))
    _, epoch, _ = hear(executor, last_events)
    psutil.Process(epoch.row.metrics["pid"]).suspend()
    executor.submit(task(1))
    started, other, end = hear(executor, last_events)
    assert (started, end) == (TrialStarted(1), TrialEnded(1, Ending.COMPLETED))
    assert other.row.metrics["pid"] != epoch.row.metrics["pid"]


def cleans_up_for_ever(params):
    try:
        while True:
            yield Epoch(params["x"], metrics={"pid": os.getpid()})
    except GeneratorExit:
        time.sleep(1e5)


@pytest.mark.parametrize("suspended", [False, True])
def test_a_trial_whose_cleanup_does_not_end_costs_its_child_and_no_other_trial(
    open_executor, monkeypatch, suspended
):
    monkeypatch.setattr(worker_module, "STOP_WITHIN_S", 0.3)
    executor = open_executor(cleans_up_for_ever)
    for number in range(2):
        executor.submit(task(number))
        events = hear(executor, lambda events: any(isinstance(e, EpochEnded) for e in events))
        epoch = next(event for event in events if isinstance(event, EpochEnded))
        if suspended:
            psutil.Process(epoch.row.metrics["pid"]).suspend()
        executor.stop(number)
    executor.submit(task(2))
    assert hear(executor, lambda events: events) == [TrialStarted(2)]


def test_a_child_that_is_suspended_while_it_starts_is_replaced(open_executor, monkeypatch):
    monkeypatch.setattr(worker_module, "START_WITHIN_S", 0.01)
    executor = open_executor(tells_its_process)
    executor.submit(task(0))
    monkeypatch.setattr(worker_module, "START_WITHIN_S", 60.0)
    started, _, end = hear(executor, last_events)
    assert (started, end) == (TrialStarted(0), TrialEnded(0, Ending.COMPLETED))


def test_children_killed_while_they_start_end_no_search_whose_children_have_started(
    open_executor, monkeypatch
):
    monkeypatch.setattr(executor_module, "FIRST_PAUSE_S", 0.01)
    executor = open_executor(tells_its_process)
    executor.submit(task(0))
    hear(executor, last_events)
    executor.submit(task(1))
    executor.kill(1)
    executor.submit(task(2))
    for _ in range(5):
        for worker in executor._present():
            if not worker.is_ready:
                worker._process.kill()
        executor.poll(0.05)
    assert hear(executor, last_events)[-1] == TrialEnded(2, Ending.COMPLETED)


def meet(params, trial, *, folder, n_others):
    """Comes to an end when as many others run at the same time."""
    (folder / str(trial.number)).touch()
    while len(list(folder.iterdir())) <= n_others:
        time.sleep(0.005)
    yield Epoch(0.0, metrics={"environment": dict(os.environ)})


def test_as_many_trials_as_there_are_slots_run_at_the_same_time(open_executor, tmp_path):
    executor = open_executor(partial(meet, folder=tmp_path, n_others=2), slots=3)
    ends = run(executor, *map(task, range(3)))
    assert [end.ending for end in ends] == [Ending.COMPLETED] * 3


def test_more_trials_than_slots_run_one_after_the_other(open_executor):
    executor = open_executor(lambda params, trial: float(trial.number), slots=2)
    ends = run(executor, *map(task, range(6)))
    assert [end.number for end in ends] == list(range(6))


def test_a_child_is_reused_from_trial_to_trial(open_executor):
    executor = open_executor(tells_its_process)
    assert len({metric(executor, task(number), "pid") for number in range(3)}) == 1


def raise_(error):
    raise error


MISFORTUNES = {
    "an exception": (lambda: raise_(ValueError("bad")), Ending.FAILED),
    "no memory": (lambda: raise_(MemoryError("bad")), Ending.OUT_OF_MEMORY),
    "a kill": (lambda: os.kill(os.getpid(), signal.SIGKILL), Ending.KILLED),
}


@pytest.mark.parametrize("kind", MISFORTUNES)
def test_a_child_is_replaced_after_misfortune(open_executor, kind):
    misfortune, ending = MISFORTUNES[kind]

    def objective(params, trial):
        yield from tells_its_process(params, trial)
        if trial.number == 1:
            misfortune()

    executor = open_executor(objective)
    first = metric(executor, task(0), "pid")
    executor.submit(task(1))
    events = hear(executor, last_events)
    assert last_events(events)[1].ending is ending
    assert metric(executor, task(2), "pid") != first
    wait_until(lambda: not group_of(first))


def test_a_child_is_replaced_after_it_was_killed_by_order(open_executor):
    executor = open_executor(tells_its_process)
    executor.submit(task(0))
    _, epoch = hear(executor, has_epoch(1), go_on=False)
    executor.kill(0)
    assert metric(executor, task(1), "pid") != epoch.row.metrics["pid"]
    assert is_gone(epoch.row.metrics["pid"])


# What travels


def test_lambdas_and_closures_travel(open_executor):
    factor = 3.0
    executor = open_executor(lambda params: factor * params["x"])
    executor.submit(task(0))
    _, epoch, _ = hear(executor, last_events)
    assert epoch.row.loss == 1.5


SCRIPT = """
from dataclasses import dataclass
from chromasonic.tuning.executors.processes.executor import ProcessExecutor
from chromasonic.tuning.executors.protocol import EpochEnded, Task, TrialEnded
from chromasonic.tuning.objective import Trial

print("the script runs", flush=True)
FACTOR = 3.0


@dataclass
class Twice:
    value: float

    def __call__(self):
        return 2 * self.value


def objective(params):
    yield FACTOR * Twice(params["x"])()


executor = ProcessExecutor(objective, slots=1)
executor.submit(Task(Trial(0, 1), {"x": 0.5}, [], None, waits=False))
events = []
while not any(isinstance(event, TrialEnded) for event in events):
    events += executor.poll(0.2)
executor.close()
print([event.row.loss for event in events if isinstance(event, EpochEnded)], events[-1].ending)
"""


def test_a_script_needs_no_guard_against_being_run_again(run_child):
    child = run_child(SCRIPT)
    assert child.stdout.read() == "the script runs\n[3.0] completed\n"
    assert child.wait() == 0


PICKLES = """
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from chromasonic import Float, tune


@dataclass
class Data:
    x: float

    class Inside:
        pass


class Further(Data):
    pass


def square(x):
    return x * x


def objective(params):
    for thing in (Data(1.0), Further(2.0), Data.Inside(), square):
        copy = pickle.loads(pickle.dumps(thing))
        assert type(copy) is type(thing)
    with ProcessPoolExecutor(1) as pool:
        return sum(pool.map(square, [params["x"], 2.0]))


result = tune(objective, {"x": Float(0.0, 1.0)}, 2, output_dir=None, jobs=1, verbose=False)
print([(str(trial.ending), trial.value - trial.params["x"] ** 2) for trial in result.trials])
"""


def test_what_a_script_defines_can_be_pickled_in_its_objective(run_child):
    child = run_child(PICKLES)
    assert child.stdout.read() == "[('completed', 4.0), ('completed', 4.0)]\n"
    assert child.wait() == 0


def test_an_objective_starts_processes_as_it_would_outside_of_a_trial(open_executor):
    def objective(params, trial):
        in_the_trial = multiprocessing.get_start_method()
        yield Epoch(1.0, metrics={"is_same": float(in_the_trial == outside)})

    outside = multiprocessing.get_start_method()
    assert metric(open_executor(objective), task(0), "is_same") == 1.0


def test_an_objective_that_cannot_be_sent_is_refused_in_one_line():
    lock = threading.Lock()
    with pytest.raises(
        ExecutorError, match="such that it can be sent to another process"
    ) as error:
        ProcessExecutor(lambda params: lock and 1.0, slots=1)
    assert "lock" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_objective_that_a_child_cannot_load_is_refused_in_one_line(open_executor, monkeypatch):
    module = ModuleType("only_here")
    exec("def objective(params):\n    return 1.0", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    executor = open_executor(module.objective)
    executor.submit(task(0))
    with pytest.raises(
        ExecutorError, match="able to load the objective, but: ModuleNotFound"
    ) as e:
        hear(executor, last_events)
    assert "\n" not in str(e.value)


def test_an_objective_that_ends_every_child_that_loads_it_is_refused(open_executor):
    class Deadly:
        def __call__(self, params):
            return 1.0

        def __reduce__(self):
            return os._exit, (5,)

    executor = open_executor(Deadly())
    executor.submit(task(0))
    with pytest.raises(ExecutorError, match=r"must be able to start, but .* exit code 5"):
        hear(executor, last_events)


# The environment


def test_children_are_told_their_threads_before_anything_is_loaded(open_executor):
    def objective(params):
        yield Epoch(0.0, metrics={"environment": dict(os.environ)})

    environment = metric(open_executor(objective, threads=3), task(0), "environment")
    assert {environment[name] for name in THREAD_VARIABLES} == {"3"}


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [(("0", "GPU-b"), ["0", "0", "GPU-b"]), (("4",), ["4"] * 3), ((), ["of the parent"] * 3)],
)
def test_slots_share_the_gpus_in_turn(open_executor, tmp_path, monkeypatch, gpus, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "of the parent")
    executor = open_executor(partial(meet, folder=tmp_path, n_others=2), slots=3, gpus=gpus)
    for number in range(3):
        executor.submit(task(number))
    events = hear(executor, lambda events: len(last_events(events)) == 3)
    environments = [
        event.row.metrics["environment"] for event in events if isinstance(event, EpochEnded)
    ]
    assert sorted(env["CUDA_VISIBLE_DEVICES"] for env in environments) == expected


def test_what_an_objective_prints_disturbs_nobody(open_executor, capfd):
    def objective(params):
        for number in range(1000):
            print("a line", number, flush=number % 100 == 0)  # noqa: T201
            print("another", number, file=sys.stderr)  # noqa: T201
        os.write(1, b"\x00\xff raw\n")
        yield 1.0

    (end,) = run(open_executor(objective), task(0))
    assert end == TrialEnded(0, Ending.COMPLETED)
    assert "a line 999" in capfd.readouterr().out


# Deaths

DEATHS = {
    "kill -9": (
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        Ending.KILLED,
        "the process of the trial was killed by SIGKILL",
    ),
    "terminated": (
        lambda: os.kill(os.getpid(), signal.SIGTERM),
        Ending.KILLED,
        "the process of the trial was killed by SIGTERM",
    ),
    "a wild pointer": (
        lambda: ctypes.string_at(0),
        Ending.FAILED,
        "the process of the trial crashed with SIGSEGV",
    ),
    "abort": (os.abort, Ending.FAILED, "the process of the trial crashed with SIGABRT"),
    "_exit": (
        lambda: os._exit(3),
        Ending.FAILED,
        "the process of the trial ended itself with exit code 3",
    ),
    "_exit(0)": (
        lambda: os._exit(0),
        Ending.FAILED,
        "the process of the trial ended itself with exit code 0",
    ),
    "exit": (lambda: sys.exit("no more"), Ending.FAILED, "SystemExit: no more"),
}


@pytest.mark.parametrize("kind", DEATHS)
def test_a_death_costs_its_trial_only_and_tells_why(open_executor, kind):
    die, ending, reason = DEATHS[kind]

    def objective(params, trial):
        yield 1.0
        if trial.number == 0:
            die()

    executor = open_executor(objective)
    first, second = run(executor, task(0), task(1))
    assert (first.ending, first.reason) == (ending, reason)
    assert second == TrialEnded(1, Ending.COMPLETED)


def test_a_death_is_noticed_though_what_the_trial_has_forked_lives_on(open_executor, tmp_path):
    def objective(params, trial):
        forked = os.fork()
        if forked == 0:
            time.sleep(HANGING_S)
            os._exit(0)
        (tmp_path / "forked").write_text(str(forked))
        os.kill(os.getpid(), signal.SIGKILL)
        yield 1.0

    (end,) = run(open_executor(objective), task(0))
    assert end.ending is Ending.KILLED
    forked = int((tmp_path / "forked").read_text())
    wait_until(lambda: is_gone(forked))


def test_a_trial_over_its_memory_limit_is_ended(open_executor):
    def objective(params, trial):
        yield from tells_its_process(params, trial)
        if trial.number == 1:
            greed = b"x" * 300_000_000
            time.sleep(HANGING_S)
            yield float(len(greed))

    executor = open_executor(objective, memory_limit=250_000_000)
    first = metric(executor, task(0), "pid")
    (end,) = run(executor, task(1))
    assert end.ending is Ending.OUT_OF_MEMORY
    assert re.fullmatch(r"used \d{3,} MB of memory; the limit is 238 MB", end.reason)
    assert metric(executor, task(2), "pid") != first


def test_memory_of_what_a_trial_has_started_counts_and_is_freed(open_executor, tmp_path):
    greedy = "import sys, time; greed = b'x' * 300_000_000; time.sleep(60)"

    def objective(params):
        child = subprocess.Popen([sys.executable, "-c", greedy])
        (tmp_path / "pid").write_text(str(child.pid))
        child.wait()
        yield 1.0

    (end,) = run(open_executor(objective, memory_limit=250_000_000), task(0))
    assert end.ending is Ending.OUT_OF_MEMORY
    grandchild = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_gone(grandchild))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes share")
def test_memory_that_forked_processes_share_counts_once(open_executor):
    def objective(params):
        shared = b"x" * 100_000_000
        children = []
        for _ in range(4):
            if (child := os.fork()) == 0:
                time.sleep(HANGING_S)
                os._exit(0)
            children.append(child)
        # The parent looks every 0.25 s.
        time.sleep(1.5)
        yield float(len(shared))
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    (*_, end) = run(open_executor(objective, memory_limit=350_000_000), task(0))
    assert end.ending is Ending.COMPLETED


# Messages


class Bomb(float):
    """A number that ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_metric_travels_as_a_plain_number_and_runs_nothing(open_executor):
    def objective(params):
        yield Epoch(Bomb(1.5), Bomb(2.5), {"accuracy": Bomb(0.5), "nan": float("nan")})

    executor = open_executor(objective)
    executor.submit(task(0))
    _, epoch, end = hear(executor, last_events)
    assert end.ending is Ending.COMPLETED
    assert (epoch.row.loss, epoch.row.train_loss) == (1.5, 2.5)
    assert type(epoch.row.metrics["accuracy"]) is float
    assert np.isnan(epoch.row.metrics["nan"])


def write_into_the_pipe(content):
    """Writes where the reports of the child go, which are its only socket."""
    for handle in range(3, 256):
        try:
            is_socket = stat.S_ISSOCK(os.fstat(handle).st_mode)
        except OSError:
            continue
        while is_socket and content:
            content = content[os.write(handle, content) :]


NONSENSE = {
    "a word": b"hello\n",
    "no text": b"\xff\x00\n",
    "a pickle": b"cos\n_exit\n(I3\ntR.\n",
    "another kind": b'["Winner", {}]\n',
    "a row of other types": b'["EpochEnded", {"number": 1, "row": {"epoch": "1", "loss": []}}]\n',
    "a report on another trial": b'["TrialEnded", {"number": 0, "ending": "completed"}]\n',
    "an ending that there is not": b'["TrialEnded", {"number": 1, "ending": "won"}]\n',
    "brackets without end": b"[" * 200_000 + b"\n",
    "a line without end": b"x" * 20_000_000,
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_what_is_no_report_fails_its_trial_alone(open_executor, kind):
    def objective(params, trial):
        yield from tells_its_process(params, trial)
        if trial.number == 1:
            write_into_the_pipe(NONSENSE[kind])
            time.sleep(HANGING_S)

    executor = open_executor(objective)
    first = metric(executor, task(0), "pid")
    (end,) = run(executor, task(1))
    assert end.ending is Ending.FAILED
    assert end.reason.startswith("the process of the trial sent what is no report: ")
    assert metric(executor, task(2), "pid") != first


@pytest.mark.parametrize("holds_on", [False, True])
def test_half_a_report_of_a_child_that_is_killed_is_not_waited_for(open_executor, holds_on):
    def objective(params, trial):
        yield from tells_its_process(params, trial)
        if trial.number == 1:
            write_into_the_pipe(b'["EpochEnded", {"number": 1, "ro')
            if holds_on and os.fork() == 0:
                # Out of the group that is killed, with the pipe open.
                os.setsid()
                time.sleep(5)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)

    executor = open_executor(objective)
    first = metric(executor, task(0), "pid")
    (end,) = run(executor, task(1))
    assert end.ending is Ending.KILLED
    assert metric(executor, task(2), "pid") != first


def test_half_a_report_of_a_child_that_is_suspended_holds_nobody_up(open_executor):
    def objective(params, trial):
        yield from tells_its_process(params, trial)
        if trial.number == 0:
            write_into_the_pipe(b'["EpochEnded", {"number": 0, "ro')
            os.kill(os.getpid(), signal.SIGSTOP)

    executor = open_executor(objective, slots=2)
    executor.submit(task(0))
    hear(executor, has_epoch(1))
    for number in range(1, 4):
        (end,) = run(executor, task(number))
        assert end == TrialEnded(number, Ending.COMPLETED)
    executor.kill(0)


def test_a_long_message_to_a_suspended_child_holds_nobody_up(open_executor):
    executor = open_executor(tells_its_process)
    first = metric(executor, task(0), "pid")
    psutil.Process(first).suspend()
    long = Task(Trial(1, 42, None), {"text": "x" * 5_000_000}, [], None)
    started = time.monotonic()
    executor.submit(long)
    assert time.monotonic() - started < HANGING_S / 4
    events = hear(executor, last_events)
    assert events[-1] == TrialEnded(1, Ending.COMPLETED)
    assert next(e for e in events if isinstance(e, EpochEnded)).row.metrics["pid"] != first


# Trials that hang


def sleep_long():
    time.sleep(HANGING_S)


def be_busy():
    while True:
        pass


def stop_itself():
    os.kill(os.getpid(), signal.SIGSTOP)


def match_forever():
    """Holds on to the interpreter: no other thread of the process gets a turn."""
    re.match(r"(a|a)*b", "a" * 60)


HANGS = (sleep_long, be_busy, stop_itself, match_forever)


def hanging(how, after=1):
    """An objective that hangs after so many epochs, the first time that a trial is run."""

    def objective(params, trial):
        for number in range(1, 5):
            if number > after and trial.number == 0:
                how()
            yield Epoch(float(number), metrics={"pid": os.getpid()})

    return objective


@pytest.mark.parametrize("how", HANGS)
def test_a_trial_that_hangs_can_be_killed(open_executor, how):
    executor = open_executor(hanging(how))
    executor.submit(task(0))
    _, epoch = hear(executor, has_epoch(1))
    executor.kill(0)
    (end,) = run(executor, task(1))
    assert end == TrialEnded(1, Ending.COMPLETED)
    wait_until(lambda: not group_of(epoch.row.metrics["pid"]))


@pytest.mark.parametrize("how", HANGS)
def test_closing_ends_a_trial_that_hangs(open_executor, how):
    executor = open_executor(hanging(how))
    executor.submit(task(0))
    _, epoch = hear(executor, has_epoch(1))
    executor.close()
    assert is_gone(epoch.row.metrics["pid"])


# Stop and pause


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("how", [sleep_long, be_busy])
def test_to_stop_a_trial_breaks_its_epoch_off(open_executor, how, waits):
    executor = open_executor(hanging(how))
    executor.submit(task(0, waits=waits))
    _, epoch = hear(executor, has_epoch(1))
    executor.stop(0)
    executor.submit(task(1))
    events = hear(executor, last_events)
    assert {event.number for event in events} == {1}
    assert events[1].row.metrics["pid"] == epoch.row.metrics["pid"], "a polite end costs no child"


def test_a_trial_that_waits_for_an_answer_can_be_stopped(open_executor):
    executor = open_executor(tells_its_process)
    executor.submit(task(0))
    hear(executor, has_epoch(1), go_on=False)
    executor.stop(0)
    (end,) = run(executor, task(1))
    assert end.number == 1


def test_trials_that_wait_for_a_slot_can_be_stopped_killed_and_paused(open_executor):
    executor = open_executor(hanging(sleep_long, after=0))
    for number in range(5):
        executor.submit(task(number))
    hear(executor, lambda events: events)
    executor.stop(1)
    executor.kill(2)
    executor.pause(3)
    assert executor.poll(1.0) == [TrialPaused(3)]
    executor.stop(0)
    events = hear(executor, last_events)
    assert {event.number for event in events} == {4}


@pytest.mark.parametrize("how", [sleep_long, be_busy])
def test_a_pause_breaks_an_epoch_off(open_executor, how, tmp_path):
    executor = open_executor(hanging(how))
    executor.submit(task(0, tmp_path))
    hear(executor, has_epoch(1))
    executor.pause(0)
    assert hear(executor, last_events) == [TrialPaused(0)]


def test_a_trial_that_waits_goes_no_further_without_an_answer(open_executor, tmp_path):
    def objective(params):
        for number in range(3):
            (tmp_path / f"begun {number}").touch()
            yield 1.0

    executor = open_executor(objective)
    executor.submit(task(0))
    hear(executor, has_epoch(1), go_on=False)
    assert executor.poll(0.2) == []
    assert [path.name for path in tmp_path.iterdir()] == ["begun 0"]
    executor.go_on(0)
    hear(executor, last_events)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_trial_that_need_not_wait_goes_on_without_answers(open_executor):
    executor = open_executor(hanging(sleep_long, after=9))
    executor.submit(task(0, waits=False))
    events = hear(executor, last_events, go_on=False)
    losses = [event.row.loss for event in events if isinstance(event, EpochEnded)]
    assert losses == [1.0, 2.0, 3.0, 4.0]


def test_an_objective_that_raises_keyboard_interrupt_by_itself_fails(open_executor):
    executor = open_executor(lambda params: raise_(KeyboardInterrupt()))
    (event,) = run(executor, task(0))
    assert event.ending is Ending.FAILED
    assert "nobody has pressed Ctrl-C" in event.reason


def losses_of(events):
    return [event.row.loss for event in events if isinstance(event, EpochEnded)]


def test_a_pause_between_epochs_keeps_all_that_was_done(open_executor, walk, tmp_path):
    executor = open_executor(walk)
    executor.submit(task(0))
    whole = losses_of(hear(executor, last_events))
    executor.submit(task(0, tmp_path))
    first = hear(executor, has_epoch(1))
    first += hear(executor, has_epoch(2), go_on=False)
    executor.pause(0)
    assert hear(executor, last_events) == [TrialPaused(0)]
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-2"]
    executor.submit(task(0, tmp_path))
    assert losses_of(first) + losses_of(hear(executor, last_events)) == whole


def test_a_pause_within_an_epoch_goes_back_to_the_last_checkpoint(open_executor, walk, tmp_path):
    def objective(params, trial):
        trial_run.CHECKPOINT_EVERY_S = 0.0
        for epoch in walk(params, trial):
            yield epoch
            if walk.epochs_run[-1] == (0, 2) and trial.checkpoint is None:
                sleep_long()

    executor = open_executor(walk)
    executor.submit(task(0))
    whole = losses_of(hear(executor, last_events))
    executor = open_executor(objective)
    executor.submit(task(0, tmp_path))
    first = hear(executor, has_epoch(2))
    executor.pause(0)
    assert hear(executor, last_events) == [TrialPaused(0)]
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-2"]
    executor.submit(task(0, tmp_path))
    assert losses_of(first) + losses_of(hear(executor, last_events)) == whole


def test_answers_that_nobody_waits_for_let_no_half_epoch_be_saved(open_executor, tmp_path):
    """Reference: a checkpoint never holds more than the learning curve beside it."""

    def objective(params):
        state = 0

        def save(folder):
            (folder / "state").write_text(str(state))

        for _ in range(9):
            state += 1
            yield Epoch(0.0, save=save)
        state += 1
        begun.touch()
        sleep_long()

    folder, begun = tmp_path / "checkpoints", tmp_path / "begun"
    executor = open_executor(objective)
    executor.submit(task(0, folder, waits=False))
    events = hear(executor, has_epoch(9), go_on=False)
    for _ in losses_of(events):
        executor.go_on(0)
    wait_until(begun.exists)
    executor.pause(0)
    assert hear(executor, last_events) == [TrialPaused(0)]
    checkpoint, rows = latest_checkpoint(folder)
    assert (checkpoint / "state").read_text() == str(len(rows))


def test_a_pause_tells_of_a_checkpoint_that_could_not_be_written(open_executor, tmp_path):
    def objective(params):
        def save(folder):
            raise OSError("the disk is full")

        yield Epoch(1.0, save=save)

    executor = open_executor(objective)
    executor.submit(task(0, tmp_path))
    hear(executor, has_epoch(1), go_on=False)
    executor.pause(0)
    (event,) = hear(executor, last_events)
    assert event == TrialPaused(
        0, "trial 0 could not write its checkpoint: OSError: the disk is full"
    )


def test_a_save_that_is_broken_fails_its_trial(open_executor, tmp_path):
    def objective(params):
        yield Epoch(1.0, save=lambda folder: raise_(ZeroDivisionError("cannot save")))

    executor = open_executor(objective)
    executor.submit(task(0, tmp_path))
    event = hear(executor, last_events)[-1]
    assert (event.ending, event.reason) == (Ending.FAILED, "ZeroDivisionError: cannot save")


@pytest.mark.parametrize("waits", [True, False])
def test_orders_at_any_moment_do_no_harm(open_executor, random_moments, waits):
    def objective(params, trial):
        # One in ten yields nothing, which is an error: its child is replaced.
        for number in range(trial.number % 10):
            if trial.number % 3 == 0:
                time.sleep(0.001)
            yield float(number)

    executor = open_executor(objective, slots=2)
    n_trials, n_submitted = 150, 0
    events, ordered, silent, open_trials = [], {}, set(), set()
    deadline = time.monotonic() + HANGING_S / 2
    while n_submitted < n_trials or open_trials:
        assert time.monotonic() < deadline, f"still open: {open_trials}"
        while n_submitted < n_trials and len(open_trials) < 3:
            executor.submit(task(n_submitted, waits=waits))
            open_trials.add(n_submitted)
            n_submitted += 1
        for event in executor.poll(random_moments.choice([0.0, 0.001, 0.01])):
            assert event.number not in silent, f"{event} came after its trial was stopped"
            events.append(event)
            if isinstance(event, EpochEnded):
                executor.go_on(event.number)
            if isinstance(event, TrialEnded | TrialPaused):
                assert event.number in open_trials, f"{event} came twice"
                open_trials.remove(event.number)
                if random_moments.random() < 0.3:
                    # Who gives the order may not have heard of the end yet.
                    getattr(executor, random_moments.choice(["stop", "pause"]))(event.number)
        for number in sorted(open_trials):
            if number not in ordered and random_moments.random() < 0.1:
                ordered[number] = random_moments.choice(["stop", "pause"])
                getattr(executor, ordered[number])(number)
                if ordered[number] == "stop":
                    silent.add(number)
                    open_trials.remove(number)
    assert {"stop", "pause"} == set(ordered.values())
    for event in last_events(events).values():
        if ordered.get(event.number) != "pause":
            assert isinstance(event, TrialEnded)


# Ctrl-C, and the death of the parent

PARENT = """
import os, signal, subprocess, sys, time
from chromasonic.tuning.executors.processes.executor import ProcessExecutor
from chromasonic.tuning.executors.protocol import EpochEnded, Task, TrialEnded
from chromasonic.tuning.objective import Epoch, Trial
"""

CTRL_C = (
    PARENT
    + """
def objective(params):
    for number in range(60):
        time.sleep(0.005)
        yield float(number)


os.setsid()
# Unlike a signal that is ignored, one that is handled has its default effect in new programs.
signal.signal(signal.SIGINT, lambda number, frame: None)
executor = ProcessExecutor(objective, slots=2)
for number in range(2):
    executor.submit(Task(Trial(number, 1), {}, [], None, waits=False))
events, n_signals = [], 0
while sum(isinstance(event, TrialEnded) for event in events) < 2:
    os.killpg(0, signal.SIGINT)
    n_signals += 1
    events += executor.poll(0.01)
executor.close()
assert n_signals > 10
endings = [event.ending.value for event in events if isinstance(event, TrialEnded)]
print(endings, sum(isinstance(event, EpochEnded) for event in events))
"""
)


def test_ctrl_c_at_a_terminal_does_not_disturb_children_at_any_moment(run_child):
    child = run_child(CTRL_C)
    assert child.stdout.read() == "['completed', 'completed'] 120\n"


ORPHANS = (
    PARENT
    + """
import re

def hang(how):
    if how == "sleep_long":
        time.sleep(60)
    elif how == "stop_itself":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "match_forever":
        re.match(r"(a|a)*b", "a" * 60)
    while True:
        pass


def objective(params):
    forked = os.fork()
    if forked == 0:
        time.sleep(60)
        os._exit(0)
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield Epoch(0.0, metrics={"pids": [os.getpid(), forked, started.pid]})
    hang(sys.argv[1])


executor = ProcessExecutor(objective, slots=1)
executor.submit(Task(Trial(0, 1), {}, [], None, waits=False))
while True:
    for event in executor.poll(0.2):
        if isinstance(event, EpochEnded):
            print(*event.row.metrics["pids"], flush=True)
"""
)


@pytest.mark.parametrize("how", HANGS)
def test_children_and_what_they_started_end_with_their_parent(run_child, how):
    parent = run_child(ORPHANS, how.__name__)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 3
    assert not any(map(is_gone, pids))
    parent.kill()
    parent.wait()
    wait_until(lambda: not group_of(pids[0]))
    assert all(map(is_gone, pids))


# What is left


def test_nothing_is_left_when_an_executor_is_closed(open_executor, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def objective(params, trial):
        yield from tells_its_process(params, trial)
        if trial.number == 1:
            raise_(ValueError("bad"))
        if trial.number == 2:
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            sleep_long()

    executor = open_executor(objective, slots=2)
    for number in range(3):
        executor.submit(task(number))
    events = hear(executor, lambda events: len(losses_of(events)) == 3)
    pids = {event.row.metrics["pid"] for event in events if isinstance(event, EpochEnded)}
    for pid in pids:
        # Nobody but the executor can end them then.
        for other in set(group_of(pid)) - {pid}:
            os.kill(other, signal.SIGSTOP)
    executor.close()
    left = [child for child in psutil.Process().children() if child.pid in pids]
    assert left == [], "not even a zombie"
    wait_until(lambda: not any(map(group_of, pids)))
    assert list(tmp_path.iterdir()) == []
    executor.close()


@pytest.mark.parametrize("how", [sleep_long, be_busy, None])
def test_an_objective_cleans_up_on_a_polite_end(open_executor, tmp_path, how):
    def objective(params):
        atexit.register((tmp_path / "atexit").touch)
        try:
            yield 1.0
            how()
        finally:
            (tmp_path / "finally").touch()

    executor = open_executor(objective)
    executor.submit(task(0))
    hear(executor, has_epoch(1), go_on=how is not None)
    executor.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["atexit", "finally"]


def test_a_child_that_is_still_starting_can_be_dismissed(open_executor, own_workers, capfd):
    executor = open_executor(tells_its_process, slots=2)
    executor.submit(task(0))
    executor.close()
    assert not own_workers()
    assert "Traceback" not in capfd.readouterr().err


def test_a_folder_need_not_exist_to_be_saved_into(open_executor, walk, tmp_path):
    folder = tmp_path / "deep" / "down"
    (end,) = run(open_executor(walk), task(0, folder))
    assert end == TrialEnded(0, Ending.COMPLETED)
    assert [Path(path).name for path in folder.iterdir()] == ["epoch-4"]


# What a trial leaves behind


def leaves(objective):
    """A trial of one epoch that tells its process, then does that."""

    def run_trial(params, trial):
        yield from tells_its_process(params, trial)
        objective()

    return run_trial


def a_thread():
    threading.Thread(target=time.sleep, args=(HANGING_S,), daemon=True).start()


def a_timer():
    threading.Timer(HANGING_S, os._exit, [1]).start()


def an_alarm():
    signal.setitimer(signal.ITIMER_REAL, 0.5)


def a_process():
    subprocess.Popen(["sleep", str(HANGING_S)])


kept = []


def an_open_file():
    kept.append(Path(__file__).open())  # noqa: SIM115 - it is to stay open


def memory():
    kept.append(bytearray(os.urandom(1 << 20) * 60))


def pids(executor, n_trials):
    return [metric(executor, task(number), "pid") for number in range(n_trials)]


@pytest.mark.parametrize("what", [a_thread, a_timer, an_alarm, a_process])
def test_a_child_in_which_a_trial_leaves_something_is_replaced(open_executor, what):
    assert len(set(pids(open_executor(leaves(what)), 3))) == 3


@pytest.mark.parametrize("what", [an_open_file, memory])
def test_a_child_that_grows_from_trial_to_trial_is_replaced(open_executor, what):
    # The first trial may open files, and take memory, for good: libraries do.
    executor = open_executor(leaves(what), memory_limit=400 * 2**20)
    first, second, third = pids(executor, 3)
    assert first == second != third


def lets_threads_end():
    threading.Thread(target=time.sleep, args=(0.05,)).start()
    kept.append(subprocess.run(["true"], check=True))


def test_a_child_in_which_nothing_is_left_stays(open_executor):
    assert len(set(pids(open_executor(leaves(lets_threads_end)), 4))) == 1


def test_an_alarm_of_an_earlier_trial_does_not_ring_in_a_later_one(open_executor):
    def objective(params, trial):
        yield 1.0
        if trial.number == 0:
            an_alarm()
        else:
            time.sleep(1.0)

    executor = open_executor(objective)
    for number in range(2):
        assert run(executor, task(number)) == [TrialEnded(number, Ending.COMPLETED)]


def test_a_trial_begins_in_the_folder_where_the_first_one_began(open_executor, tmp_path):
    def objective(params, trial):
        yield Epoch(1.0, metrics={"is_home": float(Path.cwd() == home)})
        os.chdir(tmp_path)

    home = Path.cwd()
    executor = open_executor(objective)
    assert [metric(executor, task(number), "is_home") for number in range(2)] == [1.0, 1.0]


def fails_if_second(params, trial):
    yield from tells_its_process(params, trial)
    if trial.number == 1:
        raise ValueError("no")


def test_the_end_of_a_trial_tells_whether_others_had_run_in_its_process(open_executor):
    executor = open_executor(fails_if_second)
    for number, is_second in ((0, False), (1, True), (1, False)):
        (end,) = run(executor, task(number))
        assert end.in_used_process is is_second


def test_a_trial_that_needs_a_new_process_gets_one(open_executor):
    executor = open_executor(tells_its_process)
    first, second = pids(executor, 2)
    assert first == second
    needy = replace(task(2), needs_new_process=True)
    assert metric(executor, needy, "pid") != first


def test_a_child_that_an_earlier_trial_kills_before_the_next_one_begins_costs_nothing(
    open_executor,
):
    executor = open_executor(tells_its_process)
    first = metric(executor, task(0), "pid")
    psutil.Process(first).suspend()
    executor.submit(task(1))
    psutil.Process(first).kill()
    assert hear(executor, last_events)[-1] == TrialEnded(1, Ending.COMPLETED)
