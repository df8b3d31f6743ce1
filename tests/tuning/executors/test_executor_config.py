import math
import subprocess
import sys
from types import SimpleNamespace

import pytest

from chromasonic.errors import ExecutorError
from chromasonic.tuning.executors import executor_config
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.executors.executor_config import (
    MEMORY_OF_A_TRIAL,
    ExecutorConfig,
    bytes_of,
    default_jobs,
    free_memory,
    usable_cpus,
    visible_gpus,
)
from chromasonic.tuning.interrupt import Interrupt

GB = 2**30


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """The files of a container; none of them is there at first."""
    monkeypatch.setattr(executor_config, "CGROUP", tmp_path)

    def write(**files):
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(f"{text}\n")

    return write


@pytest.fixture
def computer(cgroup, monkeypatch):
    """A machine of so many CPUs and so much free memory."""

    def describe(cpus, memory):
        monkeypatch.setattr(
            executor_config.os, "sched_getaffinity", lambda pid: set(range(cpus)), raising=False
        )
        available = SimpleNamespace(available=memory)
        monkeypatch.setattr(executor_config.psutil, "virtual_memory", lambda: available)

    return describe


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A command of that name on the PATH, or none."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(folder))

    def install(body):
        command = folder / "nvidia-smi"
        command.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
        command.chmod(0o755)

    return install


# Sizes


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [
        (2_000_000_000, 2_000_000_000),
        ("2000000000", 2_000_000_000),
        ("2GB", 2 * GB),
        ("2gb", 2 * GB),
        ("2G", 2 * GB),
        ("2GiB", 2 * GB),
        (" 1.5 GB ", GB + GB // 2),
        ("500M", 500 * 2**20),
        ("64kb", 64 * 2**10),
        ("1T", 2**40),
        ("12B", 12),
    ],
)
def test_a_size_may_be_written_in_several_ways(size, n_bytes):
    assert bytes_of(size) == n_bytes


@pytest.mark.parametrize("size", ["", "GB", "2XB", "-1GB", "0", 0, -5, "1,5GB", "2 G B", "nan"])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ValueError, match="a size of memory must be such as 2GB or 500MB, but got"):
        bytes_of(size)


# What the machine can bear


@pytest.mark.parametrize(
    ("cpus", "memory", "threads", "jobs"),
    [
        (8, 64 * GB, 1, 8),
        (8, 64 * GB, 3, 2),
        (8, 3 * MEMORY_OF_A_TRIAL, 1, 3),
        (8, 64 * GB, 16, 1),
        (8, 1000, 1, 1),
        (1, 64 * GB, 1, 1),
    ],
)
def test_without_gpus_there_are_as_many_jobs_as_threads_and_memory_allow(
    computer, cpus, memory, threads, jobs
):
    computer(cpus, memory)
    assert default_jobs(threads, ()) == jobs


def lists(*megabytes):
    """A driver with GPUs of so much free memory."""
    rows = [f"{index}, GPU-{index}f, {free}" for index, free in enumerate(megabytes)]
    return f"""
rows = {rows!r}
if "--query-gpu=index,uuid,memory.free" in sys.argv:
    print("\\n".join(rows))
else:
    print("\\n".join(row.partition(",")[0] for row in rows))
"""


@pytest.mark.parametrize(
    ("free", "gpus", "cpus", "threads", "jobs"),
    [
        # A laptop, a workstation, and a server whose processors are the bound.
        ([7500], ("0",), 8, 1, 1),
        ([24_000], ("0",), 16, 1, 5),
        ([80_000], ("0",), 32, 1, 8),
        ([80_000], ("0",), 4, 1, 4),
        ([80_000, 80_000], ("0", "1"), 12, 2, 6),
        # Each has as many trials as the fullest has room for.
        ([80_000, 9_000], ("0", "1"), 32, 1, 4),
        ([80_000, 9_000], ("GPU-0f",), 32, 1, 8),
        # One trial each where nothing is known, or nothing is free.
        ([80_000], ("MIG-12", "GPU-7"), 32, 1, 2),
        ([100], ("0",), 32, 1, 1),
        ([80_000] * 3, ("0", "1", "2"), 2, 1, 3),
    ],
)
def test_trials_share_a_gpu_as_its_memory_allows(
    computer, nvidia_smi, free, gpus, cpus, threads, jobs
):
    computer(cpus, 64 * GB)
    nvidia_smi(lists(*free))
    assert default_jobs(threads, gpus) == jobs


def test_with_gpus_that_the_driver_does_not_know_there_is_a_job_for_each(computer):
    computer(8, 64 * GB)
    assert default_jobs(4, ("0", "1", "5")) == 3


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 8), ("200000 100000", 2), ("250000 100000", 2), ("5000 100000", 1), ("", 8)],
)
def test_a_container_may_use_its_share_of_the_cpus(computer, cgroup, quota, cpus):
    computer(8, GB)
    cgroup(cpu_max=quota)
    assert usable_cpus() == cpus


def test_a_share_larger_than_the_machine_is_the_machine(computer, cgroup):
    computer(2, GB)
    cgroup(cpu_max="1600000 100000")
    assert usable_cpus() == 2


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 8 * GB),
        ({"memory_max": "max", "memory_current": GB}, 8 * GB),
        ({"memory_max": 3 * GB, "memory_current": GB}, 2 * GB),
        ({"memory_max": 90 * GB, "memory_current": GB}, 8 * GB),
        ({"memory_max": GB, "memory_current": 2 * GB}, 0),
    ],
)
def test_a_container_has_what_is_left_of_its_memory(computer, cgroup, files, left):
    computer(8, 8 * GB)
    cgroup(**files)
    assert free_memory() == left


def test_this_machine_has_a_cpu_and_some_memory():
    assert usable_cpus() >= 1
    assert 0 < free_memory() < math.inf
    assert isinstance(free_memory(), int)


# GPUs


@pytest.mark.parametrize(
    ("said", "gpus"),
    [
        ("0", ("0",)),
        ("2, 3", ("2", "3")),
        ("GPU-8f3c,MIG-12", ("GPU-8f3c", "MIG-12")),
        ("", ()),
        ("-1", ()),
    ],
)
def test_the_environment_says_which_gpus_may_be_used(monkeypatch, nvidia_smi, said, gpus):
    nvidia_smi("print(0)")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert visible_gpus() == gpus


def test_otherwise_the_driver_lists_them(nvidia_smi):
    nvidia_smi("assert '--query-gpu=index' in sys.argv\nprint(0)\nprint(1)")
    assert visible_gpus() == ("0", "1")


@pytest.mark.parametrize("body", ["sys.exit('no driver')", "print('')"])
def test_a_driver_that_does_not_answer_has_none(nvidia_smi, body):
    nvidia_smi(body)
    assert visible_gpus() == ()


def test_without_a_driver_there_are_none(nvidia_smi):
    assert visible_gpus() == ()


# Places


@pytest.fixture
def opened(monkeypatch):
    """Arguments of an executor of child processes, without making one."""
    made = {}
    monkeypatch.setattr(
        executor_config,
        "ProcessExecutor",
        lambda objective, jobs, **options: made.update(jobs=jobs, **options),
    )

    def open_place(**options):
        ExecutorConfig(**options).open(print, Interrupt().breakable)
        return made

    return open_place


def test_children_are_given_gpus_threads_and_a_limit(opened):
    assert opened(gpus=("1", "GPU-7"), threads=2, memory_limit="2GB") == {
        "jobs": 2,
        "threads": 2,
        "gpus": ("1", "GPU-7"),
        "memory_limit": 2 * GB,
    }


def test_a_number_of_jobs_that_is_asked_for_is_kept(opened, computer):
    computer(1, GB)
    assert opened(jobs=7)["jobs"] == 7
    assert opened(jobs=3, gpus=("0",))["jobs"] == 3


def test_without_a_number_the_machine_decides(opened, computer):
    computer(6, 64 * GB)
    assert opened(threads=2)["jobs"] == 3


def test_inline_is_one_job():
    executor = ExecutorConfig("inline").open(print, Interrupt().breakable)
    assert isinstance(executor, InlineExecutor)
    assert executor.slots == 1
    assert ExecutorConfig("inline", jobs=1).jobs == 1
    with pytest.raises(ExecutorError, match="must have one job, but got jobs=2"):
        ExecutorConfig("inline", jobs=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "thread"}, "must be one of process, inline, ray, but got 'thread'"),
        ({"jobs": 0}, "jobs must be a whole number of at least 1, but got 0"),
        ({"jobs": "2"}, "jobs must be a whole number of at least 1, but got '2'"),
        ({"threads": -1}, "threads must be a whole number of at least 1, but got -1"),
        ({"threads": None}, "threads must be a whole number of at least 1, but got None"),
        ({"memory_limit": "much"}, "a size of memory must be such as 2GB"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExecutorConfig(**options)


IN_A_POOL = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from chromasonic import tune

def search(executor):
    try:
        options = {"jobs": 1, "seed": 0, "verbose": False, "executor": executor}
        return len(tune("pool_objective:value", {"x": (0.0, 1.0)}, 3, **options).trials)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1) as pool:
        print(*pool.map(search, ["process", "inline"]), sep="\\n")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        print(*pool.map(search, ["process"]))
"""


def test_a_daemonic_worker_is_told_what_to_do_and_what_it_is_told_works(tmp_path):
    file = tmp_path / "pool.py"
    file.write_text(IN_A_POOL)
    objective = "def value(params):\n    return params['x']\n"
    (tmp_path / "pool_objective.py").write_text(objective)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True)
    refused, inline, elsewhere = done.stdout.splitlines()
    assert refused.startswith("ExecutorError: the process executor must be able to start")
    assert "executor='inline'" in refused
    assert "ProcessPoolExecutor" in refused
    assert (inline, elsewhere) == ("3", "3")
