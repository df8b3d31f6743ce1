"""Cost of the driver: trials are simulated, so that all measured time is the driver's.

Writes `overhead.json`, of which it does what is missing, and `overhead.png` of the large cluster.
"""

import json
import tempfile
import time
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from simulated import SimulatedExecutor

from chromasonic.bayesopt import Categorical, Float, Integer, Space
from chromasonic.tuning._pruners import choose_pruner
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.driver import Driver
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import TrialRecord
from chromasonic.tuning.sampling.by_name import choose_sampler
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.opening import open_storage, sqlite_url
from chromasonic.tuning.storage.retry import Retry

HERE = Path(__file__).parent
SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "rate": Float(1e-4, 1.0, log=True),
        "width": Integer(1, 9),
        "kind": Categorical(["a", "b", "c"]),
    }
)
N_EPOCHS = 10
TRIAL_S = 30.0


class Clock(Observer):
    """The driver's CPU seconds at each trial's end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Notes the time."""
        self.ends.append(time.process_time())


def drive(slots: int, n_trials: int, storage: BaseStorage, pruner: str) -> dict:
    """The driver's CPU time for so many trials of 10 epochs, random proposals."""
    study = optuna.create_study(storage=storage)
    study.sampler = choose_sampler("random", SPACE, 0)
    study.pruner = choose_pruner(pruner, N_EPOCHS)
    executor = SimulatedExecutor(slots, N_EPOCHS, TRIAL_S / N_EPOCHS)
    clock = Clock()
    driver = Driver(study, SPACE, executor, Budget(n_trials), seed=0, observers=[clock])
    began = time.process_time()
    driver.run()
    cpu_s = time.process_time() - began
    trials = study.get_trials(deepcopy=False)
    n_epochs = sum(len(trial.intermediate_values) for trial in trials)
    return {
        "slots": slots,
        "trials": len(trials),
        "pruner": pruner,
        "ms_per_trial": 1000 * cpu_s / len(trials),
        "ms_per_epoch_all_included": 1000 * cpu_s / n_epochs,
        "trials_per_s": len(trials) / cpu_s,
        "needed_per_s": slots / TRIAL_S,
        "cpu_s_at_ends": [end - began for end in clock.ends][:: max(1, len(trials) // 200)],
    }


def in_memory(folder: Path) -> BaseStorage:
    """A mirrored storage in memory."""
    return DriverStorage(InMemoryStorage(), Retry("memory"))


def in_sqlite(folder: Path) -> BaseStorage:
    """A mirrored storage in a file."""
    return DriverStorage(open_storage(sqlite_url(folder / "study.db")), Retry("file"))


def in_sqlite_unmirrored(folder: Path) -> BaseStorage:
    """A storage in a file, as Optuna gives it."""
    return open_storage(sqlite_url(folder / "study.db"))


SCENARIOS = {
    "64 slots, memory, no pruner": (64, 1000, in_memory, "none"),
    "64 slots, memory, median pruner": (64, 1000, in_memory, "median"),
    "1000 slots, memory, no pruner": (1000, 20_000, in_memory, "none"),
    "1000 slots, memory, median pruner": (1000, 20_000, in_memory, "median"),
    "1000 slots, SQLite, median pruner": (1000, 20_000, in_sqlite, "median"),
    "64 slots, SQLite, median pruner": (64, 300, in_sqlite, "median"),
    "64 slots, SQLite without the copy, median pruner": (64, 300, in_sqlite_unmirrored, "median"),
}


def main() -> None:
    """Drives those that `overhead.json` does not hold yet, and draws all."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = HERE / "overhead.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name, (slots, n_trials, make_storage, pruner) in SCENARIOS.items():
        if name not in results:
            with tempfile.TemporaryDirectory() as folder:
                results[name] = drive(slots, n_trials, make_storage(Path(folder)), pruner)
            file.write_text(json.dumps(results, indent=1) + "\n")
        found = results[name]
        print(
            f"{name}: {found['ms_per_trial']:.1f} ms a trial, "
            f"{found['ms_per_epoch_all_included']:.2f} ms an epoch, "
            f"{found['trials_per_s']:.0f} trials a second ({found['needed_per_s']:.0f} needed)",
            flush=True,
        )
    plot(results)


def plot(results: dict) -> None:
    """Trials a second of the driver of a large cluster, against the number of trials."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for name, found in results.items():
        if found["slots"] < 1000:
            continue
        ends = found["cpu_s_at_ends"]
        step = found["trials"] / len(ends)
        # Over a tenth of all trials at a time.
        width = max(1, len(ends) // 10)
        rates = [
            step * width / (after - before)
            for before, after in zip(ends[:-width], ends[width:], strict=True)
        ]
        axes.plot([step * (width + i) for i in range(len(rates))], rates, label=name)
    axes.axhline(1000 / TRIAL_S, color="grey", linestyle="--", label="needed: trials of 30 s")
    axes.set_yscale("log")
    axes.set_xlabel("trials ended")
    axes.set_ylabel("trials a second that the driver can drive")
    axes.set_title("One driver, 1,000 simulated slots, 20,000 trials of 10 epochs", loc="left")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(HERE / "overhead.png", dpi=120)


if __name__ == "__main__":
    main()
