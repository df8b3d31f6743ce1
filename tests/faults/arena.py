"""A search in processes of its own, to which something happens at a random moment."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import psutil
import sqlalchemy

OBJECTIVES = Path(__file__).parent / "objectives"
N_TRIALS = 8
SEED = 5
STALL_TIMEOUT_S = 4.0
LEFT_BEHIND = (".unfinished*", ".discarded*", "unfinished", "discarded", ".cancel")

SPACE = """
[x]
low = 0.0
high = 1.0

[rate]
low = 1e-3
high = 1.0
log = true
"""


class Arena:
    """One search, its directory and what belongs to it.

    Args:
        folder: Empty.
        storage: A database URL, or None for the search's own file.
        melody: Whether a melody model is searched instead of a torch-free objective.
        options: Further words of the command.
    """

    def __init__(self, folder, storage=None, *, melody=False, options=()):
        self.folder, self.storage, self.melody = folder, storage, melody
        self.output = folder / "results"
        self.options = list(options)
        self.badge = secrets.token_hex(8)
        self.process = None
        for name in ("mischief", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "space.toml").write_text(SPACE, encoding="utf-8")

    def command(self):
        if self.melody:
            script = OBJECTIVES / "melodies.py"
            words = [script, self.output, N_TRIALS, SEED]
            return [sys.executable, *map(str, words), *([self.storage] if self.storage else [])]
        options = {
            "--space": self.folder / "space.toml",
            "--n-trials": N_TRIALS,
            "--jobs": 2,
            "--seed": SEED,
            "--output-dir": self.output,
            "--stall-timeout": STALL_TIMEOUT_S,
            "--memory-limit": "400MB",
        }
        if self.storage:
            options["--storage"] = self.storage
        words = [str(word) for option in options.items() for word in option]
        command = [sys.executable, "-m", "chromasonic", "tune", "walking:objective"]
        return [*command, *words, *self.options]

    def begin(self):
        environment = {
            **os.environ,
            "ARENA": self.badge,
            "MISCHIEF": str(self.folder / "mischief"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(OBJECTIVES), os.environ.get("PYTHONPATH", "")]),
            "TMPDIR": str(self.folder / "tmp"),
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, env=environment
            )

    def plan(self, kind, after):
        """Has something go wrong inside a trial, see `mischief`."""
        (self.folder / "mischief" / f"plan-{kind}-{after}").touch()

    @property
    def has_happened(self):
        return any((self.folder / "mischief").glob("done-*"))

    def wait(self, seconds):
        """Waits so long, or until the search has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def end(self, timeout=120):
        """The exit code of the search, once it has ended."""
        return self.process.wait(timeout)

    def finish(self):
        """Runs the same command until the search is complete."""
        for _ in range(3):
            self.begin()
            if self.end() == 0:
                return
        raise AssertionError(f"the search did not end well:\n{self.log}")

    def workers(self):
        """The processes that run trials."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if "spawn_main" in " ".join(_words(child))]
        return []

    def abandon(self):
        """Ends it, if a test leaves it running."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.end()

    @property
    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-4000:]

    @property
    def url(self):
        return self.storage or f"sqlite:///{self.output / 'study.db'}"

    def ended(self):
        """The trials that have ended, as the study holds them: a list of facts by number."""
        if not self.storage and not (self.output / "study.db").exists():
            return {}
        if not self._has_tables():
            return {}
        storage = optuna.storages.RDBStorage(self.url, skip_table_creation=True)
        try:
            studies = storage.get_all_studies()
            trials = storage.get_all_trials(studies[0]._study_id) if studies else []
        finally:
            storage.remove_session()
            storage.engine.dispose()
        facts = {t.number: _facts(t) for t in trials if t.state.is_finished()}
        assert [trial.number for trial in trials] == list(range(len(trials)))
        return facts

    def _has_tables(self):
        """True once the search has made them all; looking must not create them."""
        engine = sqlalchemy.create_engine(self.url, poolclass=sqlalchemy.NullPool)
        try:
            with engine.connect() as connection:
                made = "SELECT count(*) FROM version_info, alembic_version"
                return connection.execute(sqlalchemy.text(made)).scalar() > 0
        except (sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.OperationalError):
            return False

    def results(self):
        return json.loads((self.output / "optimization_results.json").read_text("utf-8"))

    def check(self, before):
        """That nothing is lost, double or left behind.

        Args:
            before: The trials that had ended when something happened.
        """
        after = self.ended()
        assert sorted(after) == list(range(N_TRIALS)), self.log
        assert {number: after[number] for number in before} == before
        written = self.results()
        assert [trial["number"] for trial in written["trial_results"]] == list(range(N_TRIALS))
        assert sum(written["endings"].values()) == N_TRIALS
        for trial in written["trial_results"]:
            epochs = [row["epoch"] for row in trial["learning_curve"]]
            assert epochs == list(range(1, len(epochs) + 1))
        self.check_nothing_is_left()

    def check_nothing_is_left(self):
        deadline = time.monotonic() + 10
        while (left := self._left_processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []
        files = [path for name in LEFT_BEHIND for path in self.output.rglob(name)]
        assert files == []
        # PyTorch makes a folder for its compiler, whether that is used or not.
        left = [path.name for path in (self.folder / "tmp").iterdir()]
        assert [name for name in left if not name.startswith("torchinductor_")] == []
        checkpoints = self.output / "checkpoints"
        assert not checkpoints.exists() or list(checkpoints.iterdir()) == []

    def _left_processes(self):
        badge, left = f"ARENA={self.badge}".encode(), []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                environment = Path(f"/proc/{process.pid}/environ").read_bytes()
                if badge in environment.split(b"\0"):
                    left.append(" ".join(_words(process)) + f" ({process.status()})")
        return left


def outcome(results):
    """All that must be the same when the same search is run again."""
    return [
        (
            trial["number"],
            trial["ending"],
            trial["params"],
            trial["value"],
            [row["loss"] for row in trial["learning_curve"]],
        )
        for trial in results["trial_results"]
    ]


def _words(process):
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def _facts(trial):
    names = ("ending", "params", "epochs")
    # As text, since nan is not equal to itself.
    return repr((trial.state, trial.values, [trial.user_attrs[f"chromasonic:{n}"] for n in names]))
