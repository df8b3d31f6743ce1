"""Trials on a real Ray cluster.

`ray_scenarios.py` plays it out once, in namespaces of its own; each test looks at one thing of
what came of it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chromasonic.errors import MissingExtra
from chromasonic.tuning.executors.on_ray.executor import RayExecutor

SCENARIOS = Path(__file__).with_name("ray_scenarios.py")
ALONE = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
COMPLETED = ["TrialEnded", 7, "completed", "", ""]


def can_be_alone():
    """True if processes can be cut off from the network here."""
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def found():
    """Result of each scenario, and of the child that ran them."""
    pytest.importorskip("ray")
    if not can_be_alone():
        pytest.skip("no namespaces can be made here")
    # Ray puts sockets below it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "tmp").mkdir()
        child = subprocess.run(
            [*ALONE, sys.executable, "-W", "error", SCENARIOS, home],
            env={**os.environ, "HOME": folder, "TMPDIR": f"{folder}/tmp", "OMP_NUM_THREADS": "1"},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert child.returncode == 0, child.stderr
        return {**json.loads((home / "found.json").read_text()), "output": child.stdout}


@pytest.fixture
def of(found):
    def of_scenario(name):
        assert not isinstance(found[name], str) or "Traceback" not in found[name], found[name]
        return found[name]

    return of_scenario


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r'pip install "chromasonic\[ray\]"'):
        RayExecutor(lambda params: 1.0, 1, address=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nothing", "at the address 127.0.0.1:7001, but nothing answers there"),
        ("not_ray", "at the address 127.0.0.1:7000, but it did not answer as Ray does in 3 s"),
        ("auto", "Could not find any running Ray instance. Start one with `ray start --head`"),
        ("client", "give the address of the head as host:port, or auto"),
        ("nonsense", "must be host:port, or auto, but got 'nonsense'"),
    ],
)
def test_where_there_is_no_cluster_one_line_says_so(of, address, reason):
    message = of("no_cluster")[address]
    assert reason in message
    assert "\n" not in message


@pytest.mark.slow
@pytest.mark.parametrize("waits", ["True", "False"])
def test_a_trial_on_ray_says_what_it_says_in_this_process(of, waits):
    assert len(of("reference")) == 8
    assert of("reference")[-1] == COMPLETED
    assert of("curves")[waits] == of("reference")


@pytest.mark.slow
def test_a_trial_that_waits_does_not_go_on_unasked(of):
    assert of("curves")["unasked"] == of("reference")[:2]


@pytest.mark.slow
def test_a_paused_trial_goes_on_as_if_nothing_had_happened(of):
    told = of("pause_and_go_on")
    losses = [event[3] for event in of("reference") if event[0] == "EpochEnded"]
    n_before = int(told["checkpoint"].removeprefix("epoch-"))
    assert 2 <= n_before < 6
    assert told["first"][-1] == ["TrialPaused", 7]
    assert told["losses_there"] == losses[:n_before]
    assert told["second"] == [of("reference")[0], *of("reference")[n_before + 1 :]]


@pytest.mark.slow
def test_a_checkpoint_arrives_whole_and_takes_the_place_of_the_older_one(of):
    assert of("pause_and_go_on")["at_the_end"] == [
        "epoch-6",
        "epoch-6/deep",
        "epoch-6/deep/walk.json",
        "epoch-6/epochs.json",
    ]


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_costs_no_trial(of):
    assert of("nowhere_to_save")["ending"] == "completed"
    assert "could not write its checkpoint: NotADirectoryError" in of("nowhere_to_save")["warning"]


@pytest.mark.slow
def test_a_killed_trial_goes_on_from_the_checkpoint_that_was_due(of):
    told = of("go_on_after_a_kill")
    assert told["n_saved"] >= 3
    assert told["next"] == ["EpochEnded", 7, told["n_saved"] + 1]


@pytest.mark.slow
def test_a_trial_is_paused_in_the_middle_of_an_epoch_and_saves_nothing_then(of):
    assert of("in_the_middle")["paused"] == [["TrialPaused", 7]]
    assert of("in_the_middle")["saved"] is False


@pytest.mark.slow
def test_a_trial_is_paused_before_it_has_begun(of):
    assert of("in_the_middle")["waiting"] == [["TrialPaused", 8]]


@pytest.mark.slow
def test_of_a_stopped_trial_nothing_is_heard_and_the_next_one_runs(of):
    events = of("in_the_middle")["after_stop"]
    assert [event[:2] for event in events] == [
        ["TrialStarted", 10],
        ["EpochEnded", 10],
        ["EpochEnded", 10],
        ["TrialEnded", 10],
    ]


@pytest.mark.slow
def test_of_a_killed_trial_nothing_is_heard_and_the_next_one_runs(of):
    events = of("kill_what_hangs")["events"]
    assert [event[:2] for event in events] == [
        ["TrialStarted", 8],
        ["EpochEnded", 8],
        ["TrialEnded", 8],
    ]
    assert events[-1][2] == "completed"


@pytest.mark.slow
def test_the_files_of_a_killed_worker_are_swept_up_by_the_next(of):
    before, after = of("kill_what_hangs")["scratch_before"], of("kill_what_hangs")["scratch_after"]
    assert len(before) == len(after) == 2
    assert not set(before) & set(after)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "ending", "reason"),
    [
        ("memory", "out_of_memory", "MemoryError: on purpose"),
        ("other", "failed", "ZeroDivisionError: on purpose"),
    ],
)
def test_an_error_ends_one_trial_with_its_traceback(of, kind, ending, reason):
    *_, (_, _, its_ending, its_reason, log) = of("errors")[kind]
    assert (its_ending, its_reason) == (ending, reason)
    assert "in failing" in log


@pytest.mark.slow
def test_an_objective_the_workers_cannot_load_ends_the_search_with_one_line(of):
    assert "No module named 'only_here'. Install there what it needs." in of("not_there")
    assert "\n" not in of("not_there")


@pytest.mark.slow
def test_a_trial_no_node_has_room_for_is_refused(of):
    assert "what one trial needs (5 CPU), but none of them has" in of("no_room")


@pytest.mark.slow
def test_a_connection_of_the_users_stays_up_and_another_one_does_not(of):
    told = of("a_connection_of_the_user")
    assert (told["while"], told["after"], told["after_with_own"]) == (True, False, True)


@pytest.mark.slow
def test_ray_does_not_take_over_sigterm(of):
    assert of("a_connection_of_the_user")["handler_stays"]


@pytest.mark.slow
def test_a_killed_worker_loses_its_trial_and_is_replaced(of):
    told = of("killed_worker")
    assert told["lost"][:3] == ["TrialEnded", 7, "lost"]
    assert told["lost"][3] == "The actor is dead because its worker process has died"
    assert [event[:2] for event in told["next"][:2]] == [["TrialStarted", 8], ["EpochEnded", 8]]
    assert told["is_new"]


@pytest.mark.slow
def test_a_lost_node_loses_its_trial_and_a_new_node_is_used(of):
    told = of("nodes_come_and_go")
    assert told["slots"] == 2
    assert told["n_nodes"] == 3
    ((_, _, ending, reason, _),) = told["lost"]
    assert ending == "lost"
    # The connection to the worker may break before the head has noticed.
    assert reason in (
        "The actor died because its node has died",
        "its worker does not answer any more",
    )
    assert not told["began_too_early"]
    assert told["on_the_new_node"]


@pytest.mark.slow
def test_a_search_on_ray_finds_what_it_finds_in_processes_of_this_machine(of):
    assert len(of("search")["ray"]) == 6
    assert of("search")["ray"] == of("search")["process"]


@pytest.mark.slow
def test_no_worker_and_no_file_is_left_behind(of):
    assert of("leftovers") == {"workers": 0, "scratch": []}


@pytest.mark.slow
def test_a_lost_cluster_loses_its_trials_and_then_ends_the_search(of):
    told = of("lost_cluster")
    assert [event[:3] for event in told["lost"]] == [["TrialEnded", 7, "lost"]]
    assert "its head has not been for 3 s. Start it again" in told["message"]


@pytest.mark.slow
def test_ray_prints_nothing_on_standard_output(found):
    assert found["output"] == ""
