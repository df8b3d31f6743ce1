import sys
import threading
from functools import partial

import pytest

from chromasonic.tuning.executors.on_ray._worker import ThreadInterrupt
from chromasonic.tuning.interrupt import UnaskedInterrupt

AT_MOST_S = 30


class Thread:
    """Runs a function in a thread; `outcome` is what came of it."""

    def __init__(self, function):
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._outcome = self._function()
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            self._outcome = type(error)

    @property
    def outcome(self):
        self._thread.join(AT_MOST_S)
        return self._outcome


def test_a_busy_thread_is_broken_off():
    stop, inside = ThreadInterrupt(), threading.Event()

    def work():
        with stop.breakable():
            inside.set()
            while True:
                sum(range(10))

    thread = Thread(work)
    assert inside.wait(AT_MOST_S)
    stop.request()
    assert thread.outcome is KeyboardInterrupt


def test_an_interrupt_that_nobody_has_asked_for_is_a_failure():
    def work():
        with ThreadInterrupt().breakable():
            raise KeyboardInterrupt

    assert Thread(work).outcome is UnaskedInterrupt


def test_what_is_not_breakable_goes_on_and_the_next_that_is_does_not_begin():
    stop, inside, requested = ThreadInterrupt(), threading.Event(), threading.Event()
    seen = []

    def work():
        with stop.breakable():
            seen.append("first")
        inside.set()
        requested.wait(AT_MOST_S)
        seen.append("between")
        with stop.breakable():
            seen.append("second")

    thread = Thread(work)
    assert inside.wait(AT_MOST_S)
    stop.request()
    requested.set()
    assert thread.outcome is KeyboardInterrupt
    assert seen == ["first", "between"]


def test_a_request_strikes_once():
    stop, inside, cleaning = ThreadInterrupt(), threading.Event(), threading.Event()
    requested_again = threading.Event()
    cleaned = []

    def work():
        with stop.breakable():
            inside.set()
            try:
                while True:
                    sum(range(10))
            finally:
                cleaning.set()
                requested_again.wait(AT_MOST_S)
                cleaned.extend(range(10))

    thread = Thread(work)
    assert inside.wait(AT_MOST_S)
    stop.request()
    assert cleaning.wait(AT_MOST_S)
    stop.request()
    requested_again.set()
    assert thread.outcome is KeyboardInterrupt
    assert cleaned == list(range(10))


@pytest.fixture
def threads_take_turns_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_take_turns_often")
def test_a_request_never_strikes_outside_whenever_it_comes(random_moments):
    def work(stop, inside):
        struck = False
        inside.set()
        try:
            with stop.breakable():
                sum(range(3000))
        except KeyboardInterrupt:
            struck = True
        for _ in range(5000):
            pass
        return struck

    outcomes = []
    for _ in range(300):
        stop, inside = ThreadInterrupt(), threading.Event()
        thread = Thread(partial(work, stop, inside))
        assert inside.wait(AT_MOST_S)
        sum(range(random_moments.randrange(6000)))
        stop.request()
        outcomes.append(thread.outcome)
    assert set(outcomes) <= {True, False}
