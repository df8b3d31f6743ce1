import errno
from pathlib import Path

import pytest

from chromasonic.errors import StudyError
from chromasonic.tuning import cancellation
from chromasonic.tuning.cancellation import Cancellations
from chromasonic.tuning.search_folder import SearchFolder
from chromasonic.tuning.session import require_running
from chromasonic.tuning.storage.opening import sole_driver


@pytest.fixture
def always_looks(monkeypatch):
    monkeypatch.setattr(cancellation, "LOOK_EVERY_S", 0.0)


def test_what_is_requested_anywhere_is_taken_once(tmp_path, always_looks):
    search = Cancellations(tmp_path)
    assert search.take() == set()
    Cancellations(tmp_path).request(7)
    Cancellations(tmp_path).request(12)
    Cancellations(tmp_path).request(7)
    assert search.take() == {7, 12}
    assert search.take() == set()
    assert list(tmp_path.iterdir()) == []


def test_requests_can_be_forgotten(tmp_path, always_looks):
    search = Cancellations(tmp_path)
    search.request(3)
    search.clear()
    assert search.take() == set()
    search.clear()


def test_a_request_made_while_others_are_taken_is_taken_next_time(
    tmp_path, monkeypatch, always_looks
):
    search = Cancellations(tmp_path)
    search.request(3)
    unlink = Path.unlink

    def unlink_while_another_comes(path, missing_ok=False):
        unlink(path, missing_ok)
        if path.name == "3":
            Cancellations(tmp_path).request(8)

    monkeypatch.setattr(Path, "unlink", unlink_while_another_comes)
    assert search.take() == {3}
    assert search.take() == {8}


def test_a_request_made_while_the_folder_goes_is_made_in_a_new_one(
    tmp_path, monkeypatch, always_looks
):
    search = Cancellations(tmp_path)
    touch = Path.touch

    def touch_too_late(path, *args):
        monkeypatch.setattr(Path, "touch", touch)
        assert search.take() == set()
        path.touch(*args)

    monkeypatch.setattr(Path, "touch", touch_too_late)
    Cancellations(tmp_path).request(3)
    assert search.take() == {3}


def test_requests_that_cannot_be_read_end_no_search(tmp_path, monkeypatch, always_looks):
    search = Cancellations(tmp_path)
    search.request(3)

    def away(path):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", away)
        assert search.take() == set()
        search.clear()
    assert search.take() == {3}


def test_what_is_no_number_is_no_request(tmp_path, always_looks):
    search = Cancellations(tmp_path)
    search.request(3)
    (SearchFolder(tmp_path).cancellations / "note.txt").touch()
    assert search.take() == {3}


def test_a_search_that_keeps_nothing_has_no_requests(tmp_path, monkeypatch, always_looks):
    monkeypatch.chdir(tmp_path)
    search = Cancellations(None)
    search.request(3)
    assert search.take() == set()
    search.clear()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_not_looked_at_all_the_time(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(cancellation.time, "monotonic", lambda: now[0])
    search = Cancellations(tmp_path)
    assert search.take() == set()
    search.request(3)
    now[0] += cancellation.LOOK_EVERY_S / 2
    assert search.take() == set()
    now[0] += cancellation.LOOK_EVERY_S
    assert search.take() == {3}


def test_a_search_runs_where_its_lock_is_held(tmp_path):
    with pytest.raises(StudyError, match="no search is running in"):
        require_running(tmp_path)
    with sole_driver(SearchFolder(tmp_path).lock):
        require_running(tmp_path)
    with pytest.raises(StudyError, match="no search is running in"):
        require_running(tmp_path)


def test_asking_whether_a_search_runs_makes_no_directory(tmp_path):
    with pytest.raises(StudyError, match=r"no search is running in .*\. Give the output dir"):
        require_running(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
