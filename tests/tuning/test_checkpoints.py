import json

import pytest

from chromasonic.tuning._checkpoints import discard_checkpoints, latest_checkpoint, save_checkpoint
from chromasonic.tuning.learning_curve import EpochRow, curve_to_json


def rows(n):
    return tuple(EpochRow(epoch, 1 / epoch) for epoch in range(1, n + 1))


def writes(text):
    return lambda folder: (folder / "state.txt").write_text(text)


def test_a_trial_without_checkpoint_has_none(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "never made") is None


def test_a_checkpoint_holds_what_was_saved_and_the_learning_curve(tmp_path):
    made = save_checkpoint(tmp_path / "0", rows(3), writes("after three"))
    found, epochs = latest_checkpoint(tmp_path / "0")
    assert found == made
    assert (found / "state.txt").read_text() == "after three"
    assert epochs == rows(3)


def test_only_the_newest_checkpoint_is_kept(tmp_path):
    for n in (1, 2, 10):
        save_checkpoint(tmp_path, rows(n), writes(str(n)))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-10"]


def test_the_newest_is_found_by_its_number_where_old_ones_are_left(tmp_path):
    for n in (2, 9, 10):
        (tmp_path / f"epoch-{n}").mkdir()
        (tmp_path / f"epoch-{n}" / "epochs.json").write_text(json.dumps(curve_to_json(rows(n))))
    found, epochs = latest_checkpoint(tmp_path)
    assert found.name == "epoch-10"
    assert len(epochs) == 10


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_save_that_raises_leaves_the_old_checkpoint_usable(tmp_path, error):
    save_checkpoint(tmp_path, rows(1), writes("good"))

    def fail(folder):
        (folder / "state.txt").write_text("half")
        raise error

    with pytest.raises(error):
        save_checkpoint(tmp_path, rows(2), fail)
    found, epochs = latest_checkpoint(tmp_path)
    assert (found / "state.txt").read_text() == "good"
    assert epochs == rows(1)


def test_what_a_failed_save_left_does_not_get_into_the_next_one(tmp_path):
    def fail(folder):
        (folder / "garbage.txt").write_text("half")
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - raised right above
        save_checkpoint(tmp_path, rows(1), fail)
    made = save_checkpoint(tmp_path, rows(1), writes("good"))
    assert sorted(path.name for path in made.iterdir()) == ["epochs.json", "state.txt"]


def test_an_epoch_is_saved_once(tmp_path):
    save_checkpoint(tmp_path, rows(2), writes("first"))
    made = save_checkpoint(tmp_path, rows(2), writes("second"))
    assert (made / "state.txt").read_text() == "first"


def test_a_checkpoint_half_deleted_when_the_process_died_is_none(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, rows(1), lambda folder: (folder / "weights").touch())

    def die(path, ignore_errors):
        for file in path.glob("*.json"):
            file.unlink()
        if path.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr("chromasonic.tuning._checkpoints.shutil.rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        discard_checkpoints(tmp_path)
    assert latest_checkpoint(tmp_path) is None
    monkeypatch.undo()
    discard_checkpoints(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "[1, 2]", '{"epoch": 1}', "[" * 10_000, "[" * 100_000 + "]" * 100_000]
)
def test_a_checkpoint_whose_curve_lies_is_none(tmp_path, text):
    (tmp_path / "epoch-3").mkdir()
    (tmp_path / "epoch-3" / "epochs.json").write_text(text)
    assert latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("epochs", [(1, 2), (1, 2, 3, 4), (1, 3, 2), (2, 3, 4), (1, 1, 1)])
def test_a_checkpoint_that_holds_the_curve_of_other_epochs_is_none(tmp_path, epochs):
    (tmp_path / "epoch-3").mkdir()
    lying = [EpochRow(epoch, 1.0) for epoch in epochs]
    (tmp_path / "epoch-3" / "epochs.json").write_text(json.dumps(curve_to_json(lying)))
    assert latest_checkpoint(tmp_path) is None
