"""Files of a search that are removed, replaced or truncated while it runs."""

import os
import shutil
import sqlite3
from itertools import count

import pytest

from chromasonic import Float, Space, StudyError, tune

SPACE = Space({"x": Float(0, 1)})


def remove_study(folder):
    (folder / "study.db").unlink()


def remove_study_with_its_log(folder):
    for file in folder.glob("study.db*"):
        file.unlink()


def replace_study(folder):
    copy = folder / "copy"
    shutil.copy(folder / "study.db", copy)
    copy.replace(folder / "study.db")


def truncate_study(folder):
    os.truncate(folder / "study.db", 100)


def remove_locks(folder):
    for file in folder.glob(".*.lock"):
        file.unlink()


def move_folder(folder):
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    "harm",
    [
        remove_study,
        remove_study_with_its_log,
        replace_study,
        truncate_study,
        remove_locks,
        move_folder,
    ],
)
@pytest.mark.parametrize("at_trial", [2, 5])
def test_a_search_whose_files_go_away_ends_with_one_line(tmp_path, harm, at_trial):
    numbers = count()

    def objective(params):
        if next(numbers) == at_trial:
            harm(tmp_path / "results")
        return params["x"]

    with pytest.raises(StudyError) as caught:
        tune(
            objective,
            SPACE,
            n_trials=6,
            output_dir=tmp_path / "results",
            sampler="random",
            executor="inline",
        )
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "results") in str(caught.value)


def test_a_study_of_which_trials_were_deleted_is_told_at_the_end(tmp_path):
    numbers = count()

    def objective(params):
        if next(numbers) == 5:
            with sqlite3.connect(tmp_path / "results" / "study.db") as connection:
                connection.execute("DELETE FROM trials WHERE number = 1")
        return params["x"]

    with pytest.raises(StudyError, match=r"must hold 6 trials at the end .* but holds 5"):
        tune(
            objective,
            SPACE,
            n_trials=6,
            output_dir=tmp_path / "results",
            sampler="random",
            executor="inline",
        )
