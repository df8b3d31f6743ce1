"""Progress on the terminal: a live line, or plain lines where there is no terminal."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from chromasonic.errors import plain_text
from chromasonic.reporting.terminal import print_lines
from chromasonic.reporting.text import params_line, trial_line
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import SearchResult, TrialRecord

EPOCHS_EVERY_S = 15.0
"""Time between two lines about epochs where there is no terminal."""


class ProgressDisplay(Observer):
    """Shows the running trials, their epochs, the best value so far and the time left.

    Args:
        console: Where to.
        result: The search as it stands when the display begins.
        n_trials: The total of trials.
        num_epochs: The most epochs a trial has; None if that is not known.
    """

    def __init__(
        self, console: Console, result: SearchResult, n_trials: int, num_epochs: int | None
    ) -> None:
        self._console = console
        self._n_trials = n_trials
        self._of_epochs = f"/{num_epochs}" if num_epochs else ""
        self._best = result.best_trial
        self._sign = result.sign
        # The end of a trial may be told again, where a search that died could not say it.
        self._known = {trial.number for trial in result.trials}
        self._n_ended = len(result.trials)
        self._n_before = self._n_ended
        self._started = self._last_said = time.monotonic()
        self._doing: dict[int, str] = {}
        self._live: Progress | None = None
        if console.is_terminal:
            self._live = _live_line(console)
            self._bar = self._live.add_task("", total=n_trials, completed=self._n_ended)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            # A second Ctrl-C ends the process at once, which must not leave it hidden.
            self._console.show_cursor(True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def on_trial_start(self, number: int, params: Mapping[str, Any]) -> None:
        """Shows the parameters of a trial."""
        self._say(f"trial {number}: {params_line(params)}")
        self._doing[number] = f"trial {number}"
        self._show()

    def on_epoch(self, number: int, row: EpochRow) -> None:
        """Shows the epoch and loss of a trial; without a terminal only now and then."""
        self._doing[number] = f"trial {number}, epoch {row.epoch}{self._of_epochs}: {row.loss:.4f}"
        if self._live is None and time.monotonic() - self._last_said >= EPOCHS_EVERY_S:
            self._say("; ".join(self._doing.values()))
        self._show()

    def on_warning(self, message: str) -> None:
        """Shows a warning."""
        self._say(message)

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Shows the ending of a trial."""
        self._doing.pop(record.number, None)
        if record.number in self._known:
            return
        # One that was cancelled does not count towards the total.
        self._n_ended += record.ending != Ending.CANCELLED
        if record.counts and (self._best is None or self._rank(record) < self._rank(self._best)):
            self._best = record
        self._say(f"{trial_line(record)}{self._standing()}")
        self._show()

    def _rank(self, record: TrialRecord) -> tuple[float, int]:
        return self._sign * (record.value or 0), record.number

    def _standing(self) -> str:
        left = self._time_left()
        return (
            f"; {self._n_ended} of {self._n_trials}"
            + (f", best {self._best.value:.4f} (trial {self._best.number})" if self._best else "")
            + (f", about {left} left" if left else "")
        )

    def _say(self, line: str) -> None:
        print_lines(self._console, line)
        self._last_said = time.monotonic()

    def _show(self) -> None:
        if self._live is not None:
            standing = self._standing().removeprefix("; ")
            # What must not be cut off by the edge of the terminal stands first.
            status = plain_text("; ".join([standing, *self._doing.values()]))
            self._live.update(self._bar, description=status, completed=self._n_ended)

    def _time_left(self) -> str:
        ended_here = self._n_ended - self._n_before
        if ended_here == 0 or self._n_ended >= self._n_trials:
            return ""
        a_trial = (time.monotonic() - self._started) / ended_here
        return _duration(a_trial * (self._n_trials - self._n_ended))


def _live_line(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=20),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        console=console,
        transient=True,
        expand=True,
        refresh_per_second=4,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
