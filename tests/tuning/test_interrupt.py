import signal
import threading

import pytest

from chromasonic.tuning.interrupt import Interrupt, UnaskedInterrupt

CHILD = """
import signal, sys, time
from chromasonic.tuning.interrupt import Interrupt

def say(text):
    print(text, flush=True)

def wait(until):
    while not until():
        time.sleep(0.005)

with Interrupt() as interrupt:
    if sys.argv[1] == "breakable":
        try:
            with interrupt.breakable():
                say("ready")
                time.sleep(60)
                say("slept through it")
        except KeyboardInterrupt:
            say("broken off")
    elif sys.argv[1] == "elsewhere":
        say("ready")
        wait(lambda: interrupt.requested)
        say("only requested")
        try:
            with interrupt.breakable():
                say("went in")
        except KeyboardInterrupt:
            say("not let in")
    else:
        say("ready")
        wait(lambda: interrupt.requested)
        say("requested")
        try:
            time.sleep(60)
        finally:
            say("cleaned up")
say(f"left with {interrupt.signal_number}")
"""


def lines(child):
    return [line.strip() for line in child.stdout]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_breaks_off_what_is_breakable(run_child, number):
    child = run_child(CHILD, "breakable")
    assert child.stdout.readline() == "ready\n"
    child.send_signal(number)
    assert lines(child) == ["broken off", f"left with {int(number)}"]
    assert child.wait() == 0


def test_elsewhere_the_first_signal_is_a_request_that_closes_what_is_breakable(run_child):
    child = run_child(CHILD, "elsewhere")
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    assert lines(child) == ["only requested", "not let in", "left with 2"]
    assert child.wait() == 0


@pytest.mark.parametrize(
    ("first", "second", "exit_code"),
    [(signal.SIGINT, signal.SIGINT, 130), (signal.SIGINT, signal.SIGTERM, 143)],
)
def test_a_second_signal_ends_the_process_at_once(run_child, first, second, exit_code):
    child = run_child(CHILD, "twice")
    assert child.stdout.readline() == "ready\n"
    child.send_signal(first)
    assert child.stdout.readline() == "requested\n"
    child.send_signal(second)
    assert lines(child) == []
    assert child.wait() == exit_code


def test_handlers_are_put_back_even_after_an_error():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    inside = []

    def enter_and_fail():
        with Interrupt():
            inside.extend(signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        enter_and_fail()
    assert not set(inside) & set(before)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_no_handler_is_changed():
    before, seen = signal.getsignal(signal.SIGINT), []

    def enter():
        with Interrupt() as interrupt, interrupt.breakable():
            seen.append((signal.getsignal(signal.SIGINT), interrupt.requested))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


def test_a_request_works_like_a_signal_but_breaks_nothing_off():
    with Interrupt() as interrupt:
        with interrupt.breakable():
            interrupt.request()
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt), interrupt.breakable():
            pytest.fail("it was let in")


def test_an_interrupt_that_nobody_has_asked_for_is_a_failure():
    with (
        Interrupt() as interrupt,
        pytest.raises(UnaskedInterrupt, match="nobody has pressed Ctrl-C"),
        interrupt.breakable(),
    ):
        raise KeyboardInterrupt
    assert not interrupt.requested


def test_a_time_limit_breaks_off_what_is_breakable_and_is_no_request():
    with Interrupt(time_limit_s=0.05) as interrupt:
        with pytest.raises(KeyboardInterrupt), interrupt.breakable():
            threading.Event().wait(30)
        assert not interrupt.requested
        # Nor does anything breakable begin after it.
        with pytest.raises(KeyboardInterrupt), interrupt.breakable():
            pass


def test_no_alarm_is_left_behind_a_time_limit():
    before = signal.getsignal(signal.SIGALRM)
    with Interrupt(time_limit_s=60):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == before


@pytest.mark.parametrize("limit_s", [1e12, float("inf")])
def test_a_time_limit_that_no_clock_can_hold_is_none(limit_s):
    with Interrupt(limit_s) as interrupt, interrupt.breakable():
        assert not interrupt.requested
