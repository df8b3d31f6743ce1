import pytest

from chromasonic.tuning._checkpoints import latest_checkpoint, save_checkpoint
from chromasonic.tuning.executors.on_ray._packing import (
    PackedCheckpoint,
    pack,
    pack_checkpoint,
    unpack,
    unpack_checkpoint,
)
from chromasonic.tuning.learning_curve import EpochRow


def content(folder):
    """Every path below a folder, with its bytes if it is a file."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def save_something(folder):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "weights ä.bin").write_bytes(bytes(range(256)))
    (folder / "empty folder").mkdir()
    (folder / "empty").touch()


def rows(n):
    return tuple(EpochRow(epoch, 0.1 * epoch) for epoch in range(1, n + 1))


def test_what_is_unpacked_is_what_was_packed(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    save_something(here)
    unpack(pack(here), there)
    assert len(content(here)) == 5
    assert content(there) == content(here)


def test_a_checkpoint_that_was_sent_is_found_as_if_it_had_been_saved_there(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    save_checkpoint(here, rows(3), save_something)
    unpack_checkpoint(pack_checkpoint(here), there)
    assert content(there) == content(here)
    assert latest_checkpoint(there) == (there / "epoch-3", rows(3))


def test_a_newer_checkpoint_takes_the_place_of_an_older_one(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for n in (2, 4):
        save_checkpoint(here, rows(n), save_something)
        unpack_checkpoint(pack_checkpoint(here), there)
    assert [path.name for path in there.iterdir()] == ["epoch-4"]


def test_only_a_checkpoint_that_is_new_is_packed(tmp_path):
    assert pack_checkpoint(tmp_path) is None
    save_checkpoint(tmp_path, rows(3), save_something)
    assert pack_checkpoint(tmp_path, after=3) is None
    assert pack_checkpoint(tmp_path, after=2).epochs == rows(3)


def test_half_a_checkpoint_never_looks_like_a_whole_one(tmp_path):
    save_checkpoint(tmp_path, rows(1), save_something)
    broken = PackedCheckpoint(rows(2), {"a": b"1", "a/b": b"a file cannot hold another"})
    with pytest.raises(OSError, match="a"):
        unpack_checkpoint(broken, tmp_path)
    assert latest_checkpoint(tmp_path) == (tmp_path / "epoch-1", rows(1))


@pytest.mark.parametrize("name", ["../out", "/out", "deep/../../out", "..\\out", "C:out"])
def test_nothing_is_written_outside_the_folder(tmp_path, name):
    folder = tmp_path / "folder"
    with pytest.raises(ValueError, match="must lie inside it"):
        unpack({"good": b"", name: b""}, folder)
    assert list(tmp_path.rglob("*")) == []
