import io

import pytest
from rich.console import Console

from chromasonic.reporting import progress
from chromasonic.reporting.progress import ProgressDisplay, _duration
from chromasonic.tuning.learning_curve import EpochRow


@pytest.fixture
def plain():
    """A console that is no terminal."""
    return Console(file=io.StringIO(), force_terminal=False, width=60)


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def show(console, before, trials, n_trials=3):
    """Lines that the console shows of these trials."""
    with ProgressDisplay(console, before, n_trials, num_epochs=5) as display:
        for trial in trials:
            display.on_trial_start(trial.number, trial.params)
            for row in trial.learning_curve:
                display.on_epoch(trial.number, row)
            display.on_trial_end(trial, None)
    return console.file.getvalue()


def test_without_a_terminal_each_trial_has_two_plain_lines(plain, trial, result):
    trials = [trial(0, [2.5, 2.0], params={"rate": 0.01}), trial(1, [3.0], "pruned")]
    lines = show(plain, result(), trials).splitlines()
    assert lines[0] == "trial 0: rate=0.01"
    assert lines[1].startswith("trial 0: 2.0000  completed after 2 epochs, 1.0s; 1 of 3")
    assert "best 2.0000 (trial 0)" in lines[1]
    assert lines[3].startswith("trial 1: 3.0000  pruned after 1 epoch")
    assert len(lines) == 4


def test_without_a_terminal_there_are_no_control_codes(plain, trial, result):
    text = show(plain, result(), [trial(0, params={"kind": "[red]x[/red]"})])
    assert "\x1b" not in text
    assert "\r" not in text
    assert "kind=[red]x[/red]" in text


def test_long_lines_are_not_broken(plain, trial, result):
    params = {f"parameter_{i}": 0.123456 for i in range(9)}
    first, *_ = show(plain, result(), [trial(0, params=params)]).splitlines()
    assert first.endswith("parameter_8=0.1235")


def test_a_terminal_shows_the_running_epoch_and_gets_its_cursor_back(terminal, trial, result):
    with ProgressDisplay(terminal, result(), 3, num_epochs=5) as display:
        display.on_trial_start(0, {})
        display.on_epoch(0, EpochRow(2, 1.5))
        display._live.refresh()
        assert "trial 0, epoch 2/5: 1.5000" in terminal.file.getvalue()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    text = terminal.file.getvalue()
    assert text.rindex(shown) > text.rindex(hidden)


def test_the_cursor_is_visible_while_the_search_runs(terminal, result):
    with ProgressDisplay(terminal, result(), 3, num_epochs=5):
        text = terminal.file.getvalue()
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_all_trials_that_run_are_shown(terminal, result):
    with ProgressDisplay(terminal, result(), 3, num_epochs=5) as display:
        for number in (0, 1, 2):
            display.on_trial_start(number, {})
        display.on_epoch(1, EpochRow(2, 1.5))
        display._live.refresh()
    assert "trial 0; trial 1, epoch 2/5: 1.5000; trial 2" in terminal.file.getvalue()


def test_a_narrow_terminal_cuts_the_live_line_instead_of_breaking_it(trial, result):
    narrow = Console(file=io.StringIO(), force_terminal=True, width=60)
    with ProgressDisplay(narrow, result([trial(0, [2.0])]), 3, num_epochs=5) as display:
        display.on_trial_start(1, {})
        display.on_epoch(1, EpochRow(2, 1.5))
        narrow.file.truncate(0)
        display._live.refresh()
        shown = narrow.file.getvalue()
    assert "\n" not in shown
    assert "1 of 3, best 2.0000 (trial 0)" in shown
    assert "…" in shown


def test_without_a_terminal_epochs_are_told_now_and_then(plain, result, monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with ProgressDisplay(plain, result(), 3, num_epochs=5) as display:
        display.on_trial_start(0, {})
        display.on_trial_start(1, {})
        for epoch in range(1, 6):
            now += 8.0
            display.on_epoch(0, EpochRow(epoch, 1.0))
    assert plain.file.getvalue().splitlines()[2:] == [
        "trial 0, epoch 2/5: 1.0000; trial 1",
        "trial 0, epoch 4/5: 1.0000; trial 1",
    ]


def test_a_cancelled_trial_does_not_count_towards_the_total(plain, trial, result):
    trials = [trial(0), trial(1, [], "cancelled"), trial(2), trial(3)]
    lines = show(plain, result(), trials).splitlines()
    assert [line[line.index("; ") :][:8] for line in lines[1::2]] == [
        "; 1 of 3",
        "; 1 of 3",
        "; 2 of 3",
        "; 3 of 3",
    ]


def test_an_error_ends_the_live_line_and_is_passed_on(terminal, result):
    with (
        pytest.raises(RuntimeError, match="out of luck"),
        ProgressDisplay(terminal, result(), 3, num_epochs=5) as display,
    ):
        raise RuntimeError("out of luck")
    assert display._live.finished is False
    assert not display._live.live.is_started


def test_a_continued_search_counts_on_and_remembers_its_best(plain, trial, result):
    before = result([trial(0, [1.0]), trial(1, [2.0])])
    text = show(plain, before, [trial(2, [1.5])])
    assert "3 of 3, best 1.0000 (trial 0)" in text


def test_only_a_trial_that_counts_becomes_the_best(plain, trial, result):
    trials = [trial(0, [2.0]), trial(1, [0.5], "pruned"), trial(2, [0.1], "failed")]
    assert "3 of 3, best 2.0000 (trial 0)" in show(plain, result(), trials)


def test_the_first_of_equal_trials_stays_the_best(plain, trial, result):
    text = show(plain, result(), [trial(0, [0.0]), trial(1, [0.0]), trial(2, [-1.0])])
    assert "2 of 3, best 0.0000 (trial 0)" in text
    assert "3 of 3, best -1.0000 (trial 2)" in text


def test_the_time_left_is_told_until_the_last_trial(plain, trial, result):
    lines = show(plain, result(), [trial(0), trial(1), trial(2)]).splitlines()
    assert "about 0 s left" in lines[1]
    assert "left" not in lines[5]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3661, "1 h 1 min")],
)
def test_durations_are_told_in_units_that_fit(seconds, words):
    assert _duration(seconds) == words
