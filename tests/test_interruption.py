"""A search on the command line, in a process of its own, broken off in several ways."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pexpect
import pytest

N_TRIALS = 6
SPACE = """
[learning_rate]
low = 1e-3
high = 1e-1
log = true

[batch_size]
choices = [4, 8]

[hidden_size]
low = 16
high = 64

[embedding_dim]
value = 16
"""
TIMES = {"timestamp", "total_time", "training_time", "seconds", "storage", "identity"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches")
    (folder / "space.toml").write_text(SPACE)
    return folder


def command(folder, name, n_trials=N_TRIALS):
    options = {
        "--data": "synthetic",
        "--n-sequences": "200",
        "--epochs": "6",
        "--n-trials": str(n_trials),
        "--seed": "11",
        "--device": "cpu",
        "--space": str(folder / "space.toml"),
        "--output-dir": str(folder / name),
    }
    words = [word for option in options.items() for word in option]
    return [sys.executable, "-m", "chromasonic", "search", *words]


@contextmanager
def begun(folder, name, n_trials=N_TRIALS):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command(folder, name, n_trials),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # Does nothing where it has ended and was waited for.


def wait_for_trial(process, least=0):
    """The number of the first trial, from `least` on, that the search says it begins."""
    before = []
    for line in process.stdout:
        said = re.match(r"trial (\d+): learning_rate", line)
        if said and int(said[1]) >= least:
            return int(said[1])
        before.append(line)
    raise AssertionError(f"no trial from {least} on in: {''.join(before)}")


def finish(folder, name, n_trials=N_TRIALS):
    words = command(folder, name, n_trials)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return results(folder, name)


def results(folder, name):
    return json.loads((folder / name / "optimization_results.json").read_text())


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


@pytest.fixture(scope="module")
def uninterrupted(folder):
    return finish(folder, "uninterrupted")


def test_ctrl_c_writes_the_files_says_how_to_go_on_and_exits_with_130(folder, uninterrupted):
    with begun(folder, "ctrl-c") as process:
        wait_for_trial(process, 2)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from here" in output
    assert "Traceback" not in output
    assert 1 <= results(folder, "ctrl-c")["n_trials"] < N_TRIALS
    assert without_times(finish(folder, "ctrl-c")) == without_times(uninterrupted)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files_twice(folder, uninterrupted):
    assert without_times(finish(folder, "again")) == without_times(uninterrupted)


@pytest.mark.slow
def test_a_second_ctrl_c_quits_at_once(folder):
    with begun(folder, "twice") as process:
        wait_for_trial(process, 1)
        for _ in range(200):
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGINT)
            time.sleep(0.005)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert finish(folder, "twice")["n_trials"] == N_TRIALS


@pytest.mark.slow
def test_a_killed_search_loses_at_most_the_running_trials(folder, random_moments):
    n_trials = 2 * N_TRIALS  # So many that none of the three has them all.
    whole = finish(folder, "not-killed", n_trials)
    seconds_a_trial = whole["total_time"] / n_trials
    for _ in range(3):
        with begun(folder, "killed", n_trials) as process:
            number = wait_for_trial(process)
            time.sleep(random_moments.uniform(0, seconds_a_trial))
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL
        assert n_ended(folder / "killed") >= number - 1  # Two run at the same time.
    after = finish(folder, "killed", n_trials)
    assert [trial["number"] for trial in after["trial_results"]] == list(range(n_trials))
    assert without_times(after) == without_times(whole)


def n_ended(folder):
    with closing(sqlite3.connect(folder / "study.db")) as database:
        (count,) = database.execute(
            "select count(*) from trials where state in ('COMPLETE', 'PRUNED')"
        ).fetchone()
    return count


def test_a_second_search_in_the_same_directory_is_refused(folder):
    with begun(folder, "in-use", n_trials=500) as process:
        wait_for_trial(process)
        words = command(folder, "in-use")
        second = subprocess.run(words, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "another one is running there" in second.stderr


@pytest.mark.slow
def test_a_terminal_shows_a_live_line_and_keeps_its_cursor(folder):
    words = command(folder, "terminal", n_trials=500)
    child = pexpect.spawn(words[0], words[1:], encoding="utf-8", timeout=120, dimensions=(40, 160))
    child.expect(r"epoch \d/6")
    child.expect(r"best \d\.\d+")
    child.sendintr()
    child.expect("goes on from here")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 130
