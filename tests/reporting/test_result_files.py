import json
import math

import pytest

from chromasonic.reporting.result_files import (
    ResultFiles,
    package_versions,
    to_json,
    write_result_files,
)
from chromasonic.reporting.text import report
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.search_folder import RESULTS_FILE, SearchFolder


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_nan_and_infinities_become_null():
    text = to_json({"a": math.nan, "b": [1.5, math.inf, {"c": -math.inf}], "d": (0.0,)})
    assert json.loads(text) == {"a": None, "b": [1.5, None, {"c": None}], "d": [0.0]}


def test_a_diverged_curve_is_json_that_every_reader_takes(trial, result, tmp_path):
    write_result_files(result([trial(0, [2.0, math.nan], "diverged")]), tmp_path)

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / RESULTS_FILE).read_text(encoding="utf-8")
    (stored,) = json.loads(text, parse_constant=refuse)["trial_results"]
    assert [row["loss"] for row in stored["learning_curve"]] == [2.0, None]


def test_the_files_hold_the_result(trial, result, tmp_path):
    found = result([trial(0, [2.5, 2.0], params={"x": 0.5})], seed=3, unit="nats per note")
    write_result_files(found, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    results = json.loads((folder / RESULTS_FILE).read_text(encoding="utf-8"))
    assert {key: results[key] for key in found} == dict(found)
    assert results["versions"] == package_versions()
    best = json.loads(SearchFolder(folder).best.read_text(encoding="utf-8"))
    assert best["best_params"] == {"x": 0.5}
    assert best["best_value"] == 2.0
    assert SearchFolder(folder).report.read_text(encoding="utf-8") == report(found)


def test_the_versions_name_what_results_depend_on():
    assert {"python", "chromasonic", "optuna", "numpy"} <= package_versions().keys()


def test_a_crash_in_the_middle_of_writing_leaves_the_old_files(
    trial, result, tmp_path, monkeypatch
):
    write_result_files(result([trial(0, [2.0])]), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def half_written(path, text):
        path.write_bytes(text.encode()[: len(text) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr("chromasonic.tuning.files._write", half_written)
    with pytest.raises(OSError, match="no space left"):
        write_result_files(result([trial(0, [2.0]), trial(1, [1.0])]), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.fixture
def writes(monkeypatch):
    """Number of times that the files were written."""
    counted = []
    monkeypatch.setattr(
        "chromasonic.reporting.result_files.write_result_files",
        lambda found, folder, in_full: counted.append(in_full),
    )
    return counted


def test_the_first_trial_is_written_at_once_and_the_next_ones_after_a_pause(
    trial, result, tmp_path, writes, clock
):
    files = ResultFiles(result, tmp_path, clock)
    files.on_trial_end(trial(0), None)
    assert len(writes) == 1
    clock.now += 0.5
    files.on_trial_end(trial(1), None)
    assert len(writes) == 1
    clock.now += 0.6
    files.on_trial_end(trial(2), None)
    assert writes == [False, False]


def test_importance_is_worked_out_only_for_files_in_full(trial, result, tmp_path, monkeypatch):
    found = result([trial(0)])
    monkeypatch.setattr(type(found), "importance", property(lambda self: 1 / 0))
    write_result_files(found, tmp_path, in_full=False)
    stored = json.loads((tmp_path / RESULTS_FILE).read_text(encoding="utf-8"))
    assert set(found) - set(stored) == {"importance"}
    with pytest.raises(ZeroDivisionError):
        write_result_files(found, tmp_path)


def test_an_epoch_writes_what_a_trial_left_to_write_and_only_once(
    trial, result, tmp_path, writes, clock
):
    files = ResultFiles(result, tmp_path, clock)
    row = EpochRow(1, 2.0)
    files.on_epoch(0, row)
    assert writes == []
    files.on_trial_end(trial(0), None)
    files.on_trial_end(trial(1), None)
    clock.now += 2.0
    files.on_epoch(2, row)
    clock.now += 2.0
    files.on_epoch(2, row)
    assert len(writes) == 2


def test_writing_takes_no_more_than_a_hundredth_of_the_time(trial, result, tmp_path, clock):
    spent = 0.0

    def slow_read():
        nonlocal spent
        clock.now += 0.3
        spent += 0.3
        return result()

    files = ResultFiles(slow_read, tmp_path, clock)
    started = clock.now
    for number in range(1000):
        clock.now += 1.0
        files.on_trial_end(trial(number), None)
    assert spent > 5
    assert spent <= 0.01 * (clock.now - started) + 0.3


def test_files_that_could_not_be_written_are_written_as_soon_as_they_can(
    result, tmp_path, trial, clock
):
    files = ResultFiles(lambda: result([trial(0)]), tmp_path / "folder", clock=clock)
    in_the_way = tmp_path / "folder"
    in_the_way.write_text("no folder")
    with pytest.raises(OSError, match="folder"):
        files.on_trial_end(trial(0), None)
    # Not at every epoch, though.
    files.on_epoch(1, EpochRow(1, 2.0))
    in_the_way.unlink()
    clock.now += 2.0
    files.on_epoch(1, EpochRow(1, 2.0))
    assert (tmp_path / "folder" / RESULTS_FILE).exists()
