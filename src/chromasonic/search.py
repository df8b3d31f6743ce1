"""One search, from its plan to its result files."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from rich.console import Console

from chromasonic.errors import StudyError, one_line
from chromasonic.reporting.progress import ProgressDisplay
from chromasonic.reporting.result_files import ResultFiles, write_result_files
from chromasonic.reporting.terminal import print_lines
from chromasonic.reporting.text import beginning_lines, ending_lines
from chromasonic.tuning.cancellation import Cancellations
from chromasonic.tuning.driver import Driver
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.objective import Objective
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import SearchResult, read_result
from chromasonic.tuning.run_options import Run
from chromasonic.tuning.search_folder import SearchFolder
from chromasonic.tuning.session import SearchPlan, Session, open_session

MoreObservers = Callable[[Session, SearchResult], Iterable[Observer]]


def run_search(
    plan: SearchPlan,
    objective: Objective,
    run: Run,
    *,
    console: Console,
    observers: MoreObservers = lambda session, before: (),
    in_words: bool = True,
) -> SearchResult:
    """Runs a search until its budget is spent or it is interrupted, and returns its result.

    Args:
        plan: What is searched.
        objective: What is minimised or maximised.
        run: How long, where and how.
        console: Where progress is shown.
        observers: Makes further observers, once the study is open; they are told first.
        in_words: Whether to say what is searched, how it goes and what was found; without, that
            is left to the observers.

    Raises:
        StudyError: The study cannot be opened or written, is in use, or is another one.
        ExecutorError: Trials cannot be run.
    """
    say = partial(print_lines, console)
    with (
        open_session(plan, say) as session,
        Interrupt(run.budget.left_s) as interrupt,
    ):
        session.give_up_when(lambda: interrupt.requested)
        study, before = session.study, read_result(session.study)
        more = [*observers(session, before)]
        if in_words:
            say(*beginning_lines(before, run.budget.n_trials))
        executor = run.place.open(objective, interrupt.breakable)
        cancellations = Cancellations(plan.folder)
        cancellations.clear()
        files = plan.folder and ResultFiles(lambda: read_result(study), plan.folder)
        shown = console if in_words else Console(quiet=True)
        with ProgressDisplay(shown, before, run.budget.n_trials, plan.num_epochs) as progress:
            driver = Driver(
                study,
                plan.space,
                executor,
                run.budget,
                seed=session.seed,
                rules=run.rules,
                observers=[*more, *([files] if files else []), progress],
                interrupt=interrupt,
                checkpoints=plan.folder and SearchFolder(plan.folder).checkpoints,
                settings={
                    "sampler": plan.sampler,
                    "pruner": plan.pruner,
                    "executor": run.place.executor,
                    "jobs": executor.slots,
                    **dict(run.settings),
                },
                cancelled=cancellations.take,
                require_study=session.require_study,
            )
            stopped_by = driver.run()
        result = read_result(study, stopped_by)
        if plan.folder is not None:
            _write_files(result, plan.folder)
    if in_words:
        say(*ending_lines(result, plan.output_dir))
    return result


def _write_files(result: SearchResult, folder: Path) -> None:
    try:
        write_result_files(result, folder)
    except OSError as error:
        raise StudyError(
            f"the result files must be written to {folder}, but: {one_line(error)}. "
            "Every trial is stored: chromasonic report writes them once there is room."
        ) from error
