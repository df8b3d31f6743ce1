"""Sessions: a study opened for one driver, locked, seeded, with sampler and pruner."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage

from chromasonic.bayesopt import Space
from chromasonic.errors import StudyError, StudyInUse
from chromasonic.tuning.earlier import (
    describe_earlier,
    n_trials_from_earlier,
    require_comparable,
    take_over,
)
from chromasonic.tuning.pruners import choose_pruner
from chromasonic.tuning.records import SearchResult, read_result
from chromasonic.tuning.sampling.by_name import choose_sampler, sampler_name
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.storage.lease import Lease, lease_url
from chromasonic.tuning.storage.mirrored import MirroredStorage
from chromasonic.tuning.storage.opening import (
    close_storage,
    open_storage,
    safe_url,
    sole_driver,
    sqlite_file,
    sqlite_url,
)
from chromasonic.tuning.storage.patient import PatientStorage
from chromasonic.tuning.study import (
    Fingerprint,
    attribute,
    first_names,
    newest_name,
    open_study,
    set_attribute,
    settle_seed,
)

STUDY_FILE = "study.db"
LOCK_FILE = ".search.lock"
EARLIER_FOLDER = "earlier"

LEFT_BEHIND = (
    "best_hyperparameters.json",
    "optimization_results.json",
    "optimization_report.txt",
    "best_model",
    "checkpoints",
    "plots",
    "repeats",
    "winner.json",
)
"""What a search leaves besides its study; anything else in the folder is the user's own."""


@dataclass(frozen=True)
class SearchPlan:
    """Plan of a search: space, sampler, pruner, storage and fingerprint.

    Attributes:
        space: What is searched.
        num_epochs: The most epochs of a trial; None where that is not known.
        fingerprint: What must stay the same for the study to go on.
        output_dir: Where files go; None to keep none.
        study_name: What the user calls the study.
        storage: A database URL or an Optuna storage; None for a file in `output_dir`, or for
            memory where there is none.
        sampler: A name of `choose_sampler`; `auto` becomes the name of what it stands for.
        pruner: A name of `choose_pruner`.
        seed: Of everything random; None to draw one.
        initial_points: What a new study tries first.
        earlier: What an earlier search found, whose trials that fit a new study starts from.
        fresh: Begin a new study beside the old one.
        accept_changes: Go on although an acceptable part of the fingerprint has changed.
        description: Kept with the study, and in the result.
    """

    space: Space
    num_epochs: int | None
    fingerprint: Fingerprint
    output_dir: Path | None
    study_name: str
    storage: str | BaseStorage | None = None
    sampler: str = "auto"
    pruner: str = "median"
    seed: int | None = None
    initial_points: Sequence[Mapping[str, Any]] = ()
    earlier: SearchResult | None = None
    fresh: bool = False
    accept_changes: bool = False
    description: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # What is wrong with these should be known before anything is opened.
        choose_sampler(self.sampler, self.space, 0)
        # What is recorded must still say what was used when `auto` is another one.
        object.__setattr__(self, "sampler", sampler_name(self.sampler))
        choose_pruner(self.pruner, self.num_epochs)
        seed: Any = self.seed
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
            raise ValueError(f"a seed must be a whole number of at least 0, but got {seed!r}.")
        for point in self.initial_points:
            self.space.validate(point)
        if self.earlier is not None:
            _check_earlier(self.earlier)
            require_comparable(self.earlier, self.fingerprint, accept_changes=self.accept_changes)


@dataclass(frozen=True)
class Session:
    """A study that this process alone drives.

    Attributes:
        study: The study; its storage outlives a database that goes away for a while.
        seed: Of everything random.
        patient: What waits for the database.
        require_lease: Raises StudyInUse if another driver has taken over.
    """

    study: optuna.Study
    seed: int
    patient: PatientStorage
    require_lease: Callable[[], None]

    def give_up_when(self, wanted: Callable[[], bool]) -> None:
        """Ends the wait for a database that is away as soon as `wanted` says so."""
        self.patient.should_give_up = wanted


@contextmanager
def open_session(
    plan: SearchPlan, on_warning: Callable[[str], None] = lambda line: None
) -> Iterator[Session]:
    """Opens the plan's study, for this process alone, while the block runs.

    Args:
        plan: What is searched, and where it is kept.
        on_warning: Told in one line what must be waited for, such as a database that is away.

    Raises:
        StudyError: It cannot be opened, is in use, or was started with something else.
    """
    url = plan.storage or _own_storage(plan.output_dir)
    with ExitStack() as stack:
        stack.enter_context(_quiet_optuna())
        stack.enter_context(sole_driver(*_locks(plan, url)))
        # While SQLite itself waits nobody hears Ctrl-C; PatientStorage waits in short naps.
        opened = open_storage(url, sqlite_timeout_s=1.0)
        stack.callback(close_storage, opened)
        lease = None
        if (server := lease_url(opened)) is not None:
            lease = stack.enter_context(Lease(server, plan.study_name, on_wait=on_warning))
        patient = PatientStorage(opened, name=safe_url(url), on_warning=on_warning)
        storage = MirroredStorage(patient)
        before = newest_name(storage, plan.study_name)
        if plan.fresh and before is not None and plan.output_dir is not None:
            _set_aside(plan.output_dir, before)
        study = open_study(
            storage,
            plan.study_name,
            plan.fingerprint,
            fresh=plan.fresh,
            accept_changes=plan.accept_changes,
        )
        seed = settle_seed(study, plan.seed)
        study.sampler = choose_sampler(plan.sampler, plan.space, seed)
        study.pruner = choose_pruner(plan.pruner, plan.num_epochs)
        take_over(study, plan.space, plan.earlier, on_warning)
        if attribute(study, "begun") is None:
            _begin(study, plan)
        identity = {"study_name": study.study_name, "seed": seed, "storage": safe_url(url)}
        set_attribute(
            study, "description", {**identity, **plan.description, **describe_earlier(study)}
        )
        yield Session(study, seed, patient, lease.require if lease else lambda: None)


def _check_earlier(earlier: object) -> None:
    if not isinstance(earlier, SearchResult):
        raise TypeError(
            f"earlier must be the result of a search, but got {type(earlier).__name__}. "
            "Pass what tune or optimize returned."
        )


def _own_storage(output_dir: Path | None) -> str | BaseStorage:
    return InMemoryStorage() if output_dir is None else sqlite_url(output_dir / STUDY_FILE)


def _begin(study: optuna.Study, plan: SearchPlan) -> None:
    """Queues the first points of a new study, those only that a driver that died left out."""
    n_queued = len(study.get_trials(deepcopy=False)) - n_trials_from_earlier(study)
    for point in plan.initial_points[n_queued:]:
        study.enqueue_trial(dict(point))
    set_attribute(study, "begun", True)


def _set_aside(output_dir: Path, study_name: str) -> None:
    """Moves the files of a study to a folder of its own; its database stays."""
    target = output_dir / EARLIER_FOLDER / study_name
    for path in (output_dir / name for name in LEFT_BEHIND):
        if path.exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target / path.name)


def _locks(plan: SearchPlan, url: str | BaseStorage) -> list[Path]:
    locks = [] if plan.output_dir is None else [plan.output_dir / LOCK_FILE]
    file = None if isinstance(url, BaseStorage) else sqlite_file(url)
    if file is not None:
        # Also where it lies in the output directory: another search may name it by its URL.
        file = file.resolve()
        locks.append(file.with_name(f".{file.name}.{derive_seed(plan.study_name)}.lock"))
    return locks


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Optuna's own lines would stand among ours and say the same."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def require_running(output_dir: Path) -> None:
    """Does nothing while a search runs in a directory.

    Raises:
        StudyError: None does.
    """
    try:
        with sole_driver(output_dir / LOCK_FILE) if output_dir.is_dir() else nullcontext():
            pass
    except StudyInUse:
        return
    raise StudyError(
        f"there must be a search running in {output_dir}, but there is none. "
        "Give the --output-dir of one."
    )


def read_session(
    output_dir: Path,
    study_name: str | None,
    storage: str | None = None,
    *,
    options: tuple[str, str] = ("--storage", "--study-name"),
) -> SearchResult:
    """The result of the newest study of that name, without changing anything.

    Args:
        output_dir: Where its search left it, if not in `storage`.
        study_name: What it is called; None for the only one there is.
        storage: A database URL.
        options: What gives a storage and a name on the command line, for messages.

    Raises:
        StudyError: There is none, or there are several.
    """
    file = output_dir / STUDY_FILE
    if storage is None and not file.exists():
        raise StudyError(
            f"there must be a search in {output_dir}, but it has no {STUDY_FILE}. "
            f"Give the directory of a search, or {options[0]}."
        )
    url = storage or sqlite_url(file)
    opened = open_storage(url)
    names = first_names(opened)
    if study_name is None and len(names) == 1:
        study_name = names[0]
    newest = study_name and newest_name(opened, study_name)
    if not newest:
        wanted = "one study" if study_name is None else f"a study {study_name!r}"
        raise StudyError(
            f"there must be {wanted} in {safe_url(url)}, "
            f"but it holds {', '.join(names) or 'none'}. Give {options[1]}."
        )
    with _quiet_optuna():
        return read_result(optuna.load_study(storage=opened, study_name=newest))
