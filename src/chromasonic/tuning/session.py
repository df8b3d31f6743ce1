"""Sessions: a study opened for one driver, locked, seeded, with sampler and pruner."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage

from chromasonic.bayesopt import Space
from chromasonic.errors import StudyError, StudyInUse, one_line
from chromasonic.paths import expand_home, user_path
from chromasonic.scalars import python_scalar
from chromasonic.tuning._earlier import (
    describe_earlier,
    n_trials_from_earlier,
    require_comparable,
    take_over,
)
from chromasonic.tuning._pruners import choose_pruner
from chromasonic.tuning.distributions import to_optuna
from chromasonic.tuning.files import read_bounded_json, sweep_unfinished
from chromasonic.tuning.records import MAXIMIZE, SearchResult, read_result
from chromasonic.tuning.sampling.by_name import choose_sampler, sampler_name
from chromasonic.tuning.search_folder import RESULTS_FILE, STUDY_FILE, SearchFolder
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.in_place import FilesInPlace
from chromasonic.tuning.storage.lease import Lease, lease_url
from chromasonic.tuning.storage.opening import (
    absolute_url,
    close_storage,
    open_storage,
    safe_url,
    sole_driver,
    sqlite_file,
    sqlite_url,
)
from chromasonic.tuning.storage.retry import Retry
from chromasonic.tuning.study import (
    Fingerprint,
    attribute,
    first_names,
    newest_name,
    open_study,
    set_attribute,
    settle_seed,
)


@dataclass(frozen=True)
class SearchPlan:
    """Plan of a search: space, sampler, pruner, storage and fingerprint.

    Attributes:
        space: The search space.
        num_epochs: The most epochs of a trial; None where that is not known.
        fingerprint: Must stay the same for the study to go on.
        output_dir: Where files go; None to keep none.
        study_name: What the user calls the study.
        storage: A database URL or an Optuna storage; None for a file in `output_dir`, or for
            memory where there is none.
        sampler: A name of `choose_sampler`; `auto` becomes the name of what it stands for.
        pruner: A name of `choose_pruner`.
        seed: Of everything random; None to draw one.
        initial_points: Points that a new study tries first.
        earlier: Result of an earlier search; a new study starts from its trials that fit.
        fresh: Begin a new study beside the old one.
        accept_changes: Go on although an acceptable part of the fingerprint has changed.
        description: Kept with the study, and in the result.
        folder: `output_dir` from the root, where files go; messages name it as it was given.
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
    folder: Path | None = field(init=False)

    def __post_init__(self) -> None:
        # The objective may change the working directory of this process.
        object.__setattr__(self, "folder", self.output_dir and user_path(self.output_dir))
        # Errors in these are reported before anything is opened.
        choose_sampler(self.sampler, self.space, 0)
        # The record must name the sampler even if `auto` means another one later.
        object.__setattr__(self, "sampler", sampler_name(self.sampler))
        choose_pruner(self.pruner, self.num_epochs)
        seed: Any = python_scalar(self.seed)
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
            raise ValueError(f"a seed must be a whole number of at least 0, but got {seed!r}.")
        object.__setattr__(self, "seed", seed)
        points = [self.space.as_point(point) for point in self.initial_points]
        object.__setattr__(self, "initial_points", points)
        if self.earlier is not None:
            _check_earlier(self.earlier)
            require_comparable(self.earlier, self.fingerprint, accept_changes=self.accept_changes)


@dataclass(frozen=True)
class Session:
    """A study that this process alone drives.

    Attributes:
        study: The study; its storage outlives a database that goes away for a while.
        seed: Of everything random.
        retry: Waits for the database.
        require_study: Raises StudyInUse if another driver has taken over, and StudyError if the
            files of the study are no longer there.
    """

    study: optuna.Study
    seed: int
    retry: Retry
    require_study: Callable[[], None]

    def give_up_when(self, wanted: Callable[[], bool]) -> None:
        """Ends the wait for a database that is away as soon as `wanted` says so."""
        self.retry.should_give_up = wanted


@contextmanager
def open_session(
    plan: SearchPlan, on_warning: Callable[[str], None] = lambda line: None
) -> Iterator[Session]:
    """Opens the plan's study, for this process alone, while the block runs.

    Args:
        plan: Plan of the search.
        on_warning: Told in one line what must be waited for, such as a database that is away.

    Raises:
        StudyError: It cannot be opened, is in use, or was started with something else; or, at the
            end of the block, trials that were written are not there.
    """
    shown_url = safe_url(plan.storage or _own_storage(plan.output_dir))
    url = plan.storage or _own_storage(plan.folder)
    url = absolute_url(url) if isinstance(url, str) else url
    locks = _locks(plan, url)
    with ExitStack() as stack:
        stack.enter_context(_quiet_optuna())
        stack.enter_context(sole_driver(*locks, output_dir=plan.output_dir))
        if plan.folder is not None:
            sweep_unfinished(plan.folder)
        # Ctrl-C is not handled while SQLite itself waits; Retry waits in short steps.
        retry = Retry(shown_url, on_warning=on_warning)
        opened = open_storage(
            url, sqlite_timeout_s=1.0, should_give_up=lambda: retry.should_give_up()
        )
        stack.callback(close_storage, opened)
        lease = None
        if (server := lease_url(opened)) is not None:
            lease = stack.enter_context(Lease(server, plan.study_name, on_wait=on_warning))
        storage = DriverStorage(opened, retry)
        before = newest_name(storage, plan.study_name)
        if plan.fresh and before is not None and plan.folder is not None:
            SearchFolder(plan.folder).set_aside(before)
        study = open_study(
            storage,
            plan.study_name,
            plan.fingerprint,
            maximize=plan.description.get("direction") == MAXIMIZE,
            fresh=plan.fresh,
            accept_changes=plan.accept_changes,
        )
        seed = settle_seed(study, plan.seed)
        study.sampler = choose_sampler(plan.sampler, plan.space, seed)
        study.pruner = choose_pruner(plan.pruner, plan.num_epochs)
        take_over(study, plan.space, plan.earlier, on_warning)
        if attribute(study, "begun") is None:
            _begin(study, plan)
        identity = {"study_name": study.study_name, "seed": seed, "storage": shown_url}
        set_attribute(
            study, "description", {**identity, **plan.description, **describe_earlier(study)}
        )
        files = FilesInPlace(None if isinstance(url, BaseStorage) else sqlite_file(url), locks)

        def require_study() -> None:
            files.require()
            if lease is not None:
                lease.require()

        yield Session(study, seed, retry, require_study)
        files.require_trials(study.study_name, len(study.get_trials(deepcopy=False)))


def _check_earlier(earlier: object) -> None:
    if not isinstance(earlier, SearchResult):
        raise TypeError(
            f"earlier must be the result of a search, but got {type(earlier).__name__}. "
            "Pass what tune or optimize returned."
        )


def _own_storage(output_dir: Path | None) -> str | BaseStorage:
    return InMemoryStorage() if output_dir is None else sqlite_url(SearchFolder(output_dir).study)


def _begin(study: optuna.Study, plan: SearchPlan) -> None:
    """Queues the initial points of a new study that are not queued yet."""
    n_queued = len(study.get_trials(deepcopy=False)) - n_trials_from_earlier(study)
    for point in plan.initial_points[n_queued:]:
        study.enqueue_trial({n: to_optuna(plan.space[n], value) for n, value in point.items()})
    set_attribute(study, "begun", True)


def _locks(plan: SearchPlan, url: str | BaseStorage) -> list[Path]:
    locks = [] if plan.folder is None else [SearchFolder(plan.folder).lock]
    file = None if isinstance(url, BaseStorage) else sqlite_file(url)
    if file is not None:
        # Also where it lies in the output directory: another search may name it by its URL.
        file = file.resolve()
        locks.append(file.with_name(f".{file.name}.{derive_seed(plan.study_name)}.lock"))
    return locks


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Turns off Optuna's log lines, which say the same as ours."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def require_running(output_dir: Path) -> None:
    """Raises an error unless a search runs in a directory.

    Raises:
        StudyError: No search runs there.
    """
    try:
        with sole_driver(SearchFolder(output_dir).lock) if output_dir.is_dir() else nullcontext():
            pass
    except StudyInUse:
        return
    raise StudyError(
        f"no search is running in {output_dir}. Give the output directory of a running search."
    )


def require_running_trial(result: SearchResult, number: int) -> None:
    """Raises an error unless that trial has begun and not ended.

    Raises:
        StudyError: It has not begun, or has ended.
    """
    running = [trial.number for trial in result.running]
    if number not in running:
        ended = next((trial.ending for trial in result.trials if trial.number == number), None)
        there = ", ".join(map(str, running)) or "none"
        raise StudyError(
            f"trial {number} must be running, but {f'it is {ended}' if ended else 'is not'}. "
            f"Running now: {there}."
        )


def load_result(
    place: str | Path,
    study_name: str | None = None,
    *,
    options: tuple[str, str] = ("storage", "study_name"),
) -> SearchResult:
    """Loads the result of a search, finished or still running, without changing anything.

    Args:
        place: The output directory of the search, its `optimization_results.json`, or the URL of
            the database that holds its study. In a directory the study is read, or the results
            file where there is no study.
        study_name: Name of the study; None for the only one, or for the one of several in a
            directory whose results file is there.
        options: Names of the arguments for a database and a study in error messages.

    Raises:
        StudyError: There is no such search, there are several, or it cannot be read.
    """
    if "://" in str(place):
        return _read_study(absolute_url(str(place)), study_name, options[1])
    path = expand_home(place)
    if path.suffix == ".json":
        return _read_results_file(path)
    folder = SearchFolder(path)
    if not folder.study.exists():
        if folder.results.exists():
            return _read_results_file(folder.results)
        raise StudyError(
            f"no search results found in {path}: it has neither {STUDY_FILE} nor {RESULTS_FILE}. "
            f"Give the output directory of a search, or the URL of its database as {options[0]}."
        )
    url = sqlite_url(folder.study)
    if study_name is None and folder.results.exists() and len(first_names(open_storage(url))) > 1:
        shown = _read_results_file(folder.results).get("study_name", "")
        study_name = shown.partition("~")[0] or None
    return _read_study(url, study_name, options[1])


def _read_results_file(file: Path) -> SearchResult:
    try:
        return SearchResult.from_dict(read_bounded_json(file))
    except FileNotFoundError:
        raise StudyError(
            f"no search results found: there is no {file}. Give the output directory of a search."
        ) from None
    except StudyError as error:
        why = str(error).rstrip(".")
    except (OSError, ValueError) as error:
        why = one_line(error)
    raise StudyError(f"cannot read {file}: {why}. Write it again with chromasonic report.")


def _read_study(url: str, study_name: str | None, option: str) -> SearchResult:
    opened = open_storage(url)
    names = first_names(opened)
    if study_name is None and len(names) == 1:
        study_name = names[0]
    newest = study_name and newest_name(opened, study_name)
    if not newest:
        wanted = "exactly one study" if study_name is None else f"a study {study_name!r}"
        raise StudyError(
            f"{safe_url(url)} must hold {wanted}, but it holds {', '.join(names) or 'none'}. "
            f"Give the name as {option}."
        )
    try:
        with _quiet_optuna():
            return read_result(optuna.load_study(storage=opened, study_name=newest))
    except RecursionError:
        raise StudyError(
            f"the study {newest!r} in {safe_url(url)} cannot be read: it is nested too deeply. "
            "Restore it from a copy."
        ) from None
