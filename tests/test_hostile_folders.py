"""A search's folder or database that somebody else has written."""

import json
import os
import sqlite3
from contextlib import closing

import pytest

from chromasonic import load_result, tune
from chromasonic.bayesopt import read_space
from chromasonic.errors import ChromasonicError, StudyError
from chromasonic.melody_generation.trained.files import load_model
from chromasonic.tuning.files import read_bounded, write_text


@pytest.fixture
def victim(tmp_path):
    """A folder outside the search's, which must stay as it is."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "mine").write_text("precious")
    yield folder
    assert (folder / "mine").read_text() == "precious"
    assert [path.name for path in folder.iterdir()] == ["mine"]


@pytest.fixture
def searched(tmp_path):
    folder = tmp_path / "results"
    search(folder, 2)
    return folder


def search(folder, n_trials):
    return tune(
        lambda params: params["x"],
        {"x": (0.0, 1.0)},
        n_trials,
        executor="inline",
        sampler="random",
        seed=1,
        output_dir=folder,
        study_name="mine",
        verbose=False,
        accept_changed_source=True,
    )


def change_study(folder, key, value):
    with closing(sqlite3.connect(folder / "study.db")) as database:
        database.execute(
            "UPDATE study_user_attributes SET value_json = ? WHERE key = ?",
            (json.dumps(value), f"chromasonic:{key}"),
        )
        database.commit()


def change_trials(folder, key, value):
    with closing(sqlite3.connect(folder / "study.db")) as database:
        database.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = ?",
            (json.dumps(value), f"chromasonic:{key}"),
        )
        database.commit()


@pytest.mark.parametrize(
    "identity", ["{victim}", "../../victim", "..", "", "x" * 9, 7, None, ["a"], "ABCDEF12"]
)
def test_an_identity_that_is_a_path_deletes_nothing(searched, victim, identity):
    if isinstance(identity, str):
        identity = identity.format(victim=victim)
    change_study(searched, "identity", identity)
    if identity is None:
        search(searched, 3)
        return
    with pytest.raises(StudyError, match=r"'mine' is damaged: .*identity"):
        search(searched, 3)


def test_a_link_out_of_the_folder_of_checkpoints_is_not_followed(searched, victim):
    (searched / "checkpoints").mkdir(exist_ok=True)
    for number in range(2, 4):
        (searched / "checkpoints" / str(number)).symlink_to(victim)
    with pytest.raises(StudyError, match=r"must lie in .*checkpoints, but does not"):
        search(searched, 4)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("number", "x/../../../victim/mine"),
        ("number", -1),
        ("number", 10**12),
        ("state", "GONE"),
        ("ending", "<script>"),
        ("params", ["x"]),
        ("params", {"x": {"deep": 1}}),
        ("learning_curve", [{"epoch": 0, "loss": 1.0}]),
        ("learning_curve", "x" * 10),
        ("best_epoch", "first"),
        ("settings", 3),
    ],
)
def test_a_result_with_a_trial_of_other_types_is_refused_in_one_line(searched, key, value):
    file = searched / "optimization_results.json"
    read = json.loads(file.read_text())
    read["trial_results"][1][key] = value
    file.write_text(json.dumps(read))
    with pytest.raises(StudyError, match=r"cannot read .*\$\.trial_results\[1\]") as caught:
        load_result(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "nul", "[" * 200_000, '{"trial_results": 1}'])
def test_a_file_that_is_no_result_is_refused_in_one_line(searched, text):
    file = searched / "optimization_results.json"
    file.write_text(text)
    with pytest.raises(StudyError, match="cannot read ") as caught:
        load_result(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", {"a": 1}), ("epochs", [3]), ("params", 4), ("ending", 5), ("settings", "x")],
)
def test_a_study_whose_trials_hold_something_else_is_refused_in_one_line(searched, key, value):
    change_trials(searched, key, value)
    for read in (lambda: load_result(searched), lambda: search(searched, 3)):
        with pytest.raises(StudyError, match=r"trial 0 of the study is damaged: ") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_link_in_the_place_of_a_temporary_file_is_not_written_through(tmp_path, victim):
    for name in (".unfinished-report.txt", ".unfinished-report.txt-"):
        (tmp_path / name).symlink_to(victim / "mine")
    write_text(tmp_path / "report.txt", "the report")
    assert (tmp_path / "report.txt").read_text() == "the report"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(OSError, match=r"regular file|directory"):
        read_bounded(tmp_path / "file")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2**21 + 1)
    with pytest.raises(OSError, match="larger than 2 MB"):
        read_bounded(tmp_path / "file", 2**21)


DEEP = "[" * 100_000 + "]" * 100_000


def test_what_is_nested_too_deeply_is_refused_in_one_line(tmp_path):
    results = tmp_path / "optimization_results.json"
    results.write_text(DEEP)
    (tmp_path / "space.toml").write_text(f"x = {DEEP}")
    (tmp_path / "config.json").write_text(DEEP)
    readers = [
        lambda: load_result(results),
        lambda: read_space(tmp_path / "space.toml"),
        lambda: load_model(tmp_path),
    ]
    for read in readers:
        with pytest.raises(ChromasonicError, match="nested too deeply"):
            read()


def test_a_study_with_a_value_nested_too_deeply_is_refused_in_one_line(searched):
    with closing(sqlite3.connect(searched / "study.db")) as database:
        database.execute("UPDATE trial_user_attributes SET value_json = ?", (DEEP,))
        database.commit()
    for read in (lambda: load_result(searched), lambda: search(searched, 3)):
        with pytest.raises(StudyError, match="nested too deeply"):
            read()
