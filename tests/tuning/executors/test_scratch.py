import signal
import tempfile

import pytest

from chromasonic.tuning.executors.on_ray._packing import scratch_folder

HOLD_ONE = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from chromasonic.tuning.executors.on_ray._packing import scratch_folder
with scratch_folder() as folder:
    (folder / "weights").write_text("large")
    print("there", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_scratch_folder_is_gone_in_the_end(temporary):
    with scratch_folder() as folder:
        (folder / "file").touch()
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_scratch_folders_of_the_living_are_left_alone(temporary, run_child):
    child = run_child(HOLD_ONE, temporary)
    assert child.stdout.readline() == "there\n"
    with scratch_folder() as first, scratch_folder() as second:
        assert first.exists()
        assert second.exists()
    (file,) = temporary.rglob("weights")
    assert file.read_text() == "large"


def test_what_a_killed_process_left_behind_is_swept_up(temporary, run_child):
    child = run_child(HOLD_ONE, temporary)
    assert child.stdout.readline() == "there\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert list(temporary.rglob("weights"))
    with scratch_folder():
        assert not list(temporary.rglob("weights"))
    assert list(temporary.iterdir()) == []


def test_files_of_others_are_not_touched(temporary):
    (temporary / "chromasonic-trial-notes.txt").touch()
    (temporary / "another").mkdir()
    with scratch_folder():
        pass
    assert sorted(path.name for path in temporary.iterdir()) == [
        "another",
        "chromasonic-trial-notes.txt",
    ]
