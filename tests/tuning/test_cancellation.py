import pytest

from chromasonic.errors import StudyError
from chromasonic.tuning import cancellation
from chromasonic.tuning.cancellation import FOLDER, Cancellations
from chromasonic.tuning.session import LOCK_FILE, require_running
from chromasonic.tuning.storage import sole_driver


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


def test_what_is_no_number_is_no_request(tmp_path, always_looks):
    search = Cancellations(tmp_path)
    search.request(3)
    (tmp_path / FOLDER / "note.txt").touch()
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
    with pytest.raises(StudyError, match="there must be a search running in"):
        require_running(tmp_path)
    with sole_driver(tmp_path / LOCK_FILE):
        require_running(tmp_path)
    with pytest.raises(StudyError, match="there must be a search running in"):
        require_running(tmp_path)


def test_asking_whether_a_search_runs_makes_no_directory(tmp_path):
    with pytest.raises(StudyError, match=r"but there is none\. Give the --output-dir"):
        require_running(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
