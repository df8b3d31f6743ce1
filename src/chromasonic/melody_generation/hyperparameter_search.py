"""The search of a melody model's hyperparameters, as the guide describes it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from optuna.storages import BaseStorage
from rich.console import Console
from torch import nn

from chromasonic.errors import StudyError
from chromasonic.melody_generation.baselines import baseline_losses
from chromasonic.melody_generation.best_model import BestModel
from chromasonic.melody_generation.data.batches import LONGEST_ROW
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.devices import choose_device
from chromasonic.melody_generation.identity import describe_search, fingerprint, model_name
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind, check_length, check_model
from chromasonic.melody_generation.objective import MelodyObjective
from chromasonic.melody_generation.scoring import context_of
from chromasonic.melody_generation.search_space import (
    HyperparameterSearchSpace,
    model_and_training_params,
)
from chromasonic.reporting.progress import ProgressDisplay
from chromasonic.reporting.result_files import ResultFiles, write_result_files
from chromasonic.reporting.text import beginning_lines, ending_lines
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.driver import Driver
from chromasonic.tuning.executors.inline import InlineExecutor
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.records import SearchResult, read_result
from chromasonic.tuning.session import SearchPlan, Session, open_session
from chromasonic.tuning.study import attribute, set_attribute

__all__ = ["HyperparameterOptimizer", "HyperparameterSearchSpace"]

DEFAULT_OUTPUT_DIR = Path("hyperparameter_search_results")
DEFAULT_STUDY_NAME = "melody_search"


class HyperparameterOptimizer:
    """Searches the hyperparameters of a melody model.

    Args:
        model_class: Its constructor takes `vocab_size` and the parameters of the space that do
            not steer the training; its `forward` gives logits, (batch, time, vocabulary) or
            (batch, vocabulary).
        search_space: What is searched.
        device: `cpu`, `cuda`, `cuda:N`, `mps` or `auto`.
        output_dir: Where results go; `hyperparameter_search_results` by default.
        verbose: Whether to show progress.

    Raises:
        DeviceError: The device is not there.
        TypeError: `model_class` is no class, or `search_space` no search space.
    """

    def __init__(
        self,
        model_class: type[nn.Module],
        search_space: HyperparameterSearchSpace,
        device: str | torch.device = "cpu",
        output_dir: str | Path | None = None,
        verbose: bool = True,
    ) -> None:
        if not isinstance(model_class, type):
            raise TypeError(
                "model_class must be a class such as LSTMMelodyModel, "
                f"but got {model_class!r:.80}."
            )
        if not isinstance(search_space, HyperparameterSearchSpace):
            raise TypeError(
                "search_space must be a HyperparameterSearchSpace, "
                f"but got {type(search_space).__name__}."
            )
        self.model_class = model_class
        self.search_space = search_space
        self.device = choose_device(str(device))
        self.output_dir = Path(output_dir or DEFAULT_OUTPUT_DIR)
        self._console = Console(quiet=not verbose)
        self._result: SearchResult | None = None

    def optimize(
        self,
        train_data: Sequence[Any],
        val_data: Sequence[Any],
        vocab_size: int,
        n_trials: int = 20,
        timeout: float | None = None,
        study_name: str = DEFAULT_STUDY_NAME,
        sampler: str = "auto",
        pruner: str = "median",
        seed: int | None = None,
        storage: str | BaseStorage | None = None,
        *,
        patience: int | None = None,
        target: float | None = None,
        initial_points: Sequence[Mapping[str, Any]] = (),
        fresh: bool = False,
        accept_changed_model: bool = False,
        data_description: Mapping[str, Any] | None = None,
        threads: int = 1,
    ) -> SearchResult:
        """The best hyperparameters found, and all trials.

        A search with the same output directory (or storage) and study name is continued.

        Args:
            train_data: Melodies to learn from, each a sequence of tokens 0..vocab_size-1.
            val_data: Melodies that are scored; the objective is the mean negative log
                probability of their notes, in nats, at a trial's best epoch. It is minimised.
            vocab_size: Number of tokens.
            n_trials: The total of trials, those of earlier runs included.
            timeout: Seconds for this run; the running trial is then put back into the queue.
            study_name: What the study is called in the storage.
            sampler: `auto`, `gp`, `tpe`, `random`, `grid`, `qmc` or `cmaes`.
            pruner: `median`, `successive_halving`, `hyperband` or `none`.
            seed: Of everything random; drawn, shown and stored if None.
            storage: A database URL; an SQLite file in the output directory by default.
            patience: End after so many trials without a better value.
            target: End when a value is no larger than this.
            initial_points: Parameters to try first, in a new study.
            fresh: Begin a new study; the old one stays beside it.
            accept_changed_model: Go on although the model's source has changed.
            data_description: Where the data come from, kept with the results.
            threads: CPU threads a trial trains with; another number rounds otherwise.

        Returns:
            A mapping with `best_params`, `best_value`, `model_params`, `training_params`,
            `total_time`, `n_trials`, `trial_results` and more; `stopped_by` says why it ended.
            After Ctrl-C it is the result so far.

        Raises:
            DataError: The data cannot be used.
            ModelError: The model class cannot be searched.
            StudyError: The study cannot be opened, is in use, or was started with something else.
            ValueError: Another argument is wrong.
        """
        budget = Budget(n_trials, timeout, patience, target)
        melodies = Melodies.checked(train_data, val_data, vocab_size)
        with _torch_threads(threads):
            objective = self._objective(melodies)
            plan = SearchPlan(
                space=self.search_space.space,
                num_epochs=self.search_space.num_epochs,
                fingerprint=fingerprint(objective, self.search_space),
                output_dir=self.output_dir,
                study_name=study_name,
                storage=storage,
                sampler=sampler,
                pruner=pruner,
                seed=seed,
                initial_points=initial_points,
                fresh=fresh,
                accept_changes=accept_changed_model,
                description=describe_search(objective, self.search_space, data_description or {}),
            )
            with open_session(plan) as session, Interrupt(budget.left_s) as interrupt:
                _keep_baselines(session, objective)
                self._result = self._drive(session, plan, objective, budget, interrupt)
        self._say(*ending_lines(self._result, self.output_dir))
        return self._result

    def plot_optimization_history(self, save_path: str | Path) -> Path:
        """Draws each trial's loss and the best so far; returns where the picture is.

        Args:
            save_path: The picture's file; its ending chooses the format, as in `plots.png`.

        Raises:
            MissingExtra: matplotlib is not installed.
            StudyError: There is no search to draw yet.
        """
        from chromasonic.reporting.figures import plot_history

        if self._result is None:
            raise StudyError("there must be a result to draw. Call optimize first.")
        return plot_history(self._result, Path(save_path))

    def _objective(self, melodies: Melodies) -> MelodyObjective:
        """What is minimised, once the model is found in order."""
        return MelodyObjective(
            self.model_class,
            self._check_model(melodies),
            melodies,
            self.search_space.num_epochs,
            self.device,
        )

    def _check_model(self, melodies: Melodies) -> OutputKind:
        """What a model from the middle of the space predicts."""
        space = self.search_space.space
        middle = space.decode([[0.5] * len(space)])[0]
        model_params, _ = model_and_training_params(middle)
        with torch.random.fork_rng(devices=[]):
            model = build_model(self.model_class, melodies.vocab_size, model_params)
        kind = check_model(model, melodies.vocab_size, context=max(2, context_of(model)))
        if kind is OutputKind.EVERY_POSITION:
            check_length(model, melodies.vocab_size, min(LONGEST_ROW, melodies.longest) - 1)
        if kind is OutputKind.EVERY_POSITION_NOT_CAUSAL:
            self._say(
                f"{model_name(self.model_class)} sees later notes at earlier positions: it is "
                "trained and scored on the last position of windows."
            )
        return kind

    def _drive(
        self,
        session: Session,
        plan: SearchPlan,
        objective: MelodyObjective,
        budget: Budget,
        interrupt: Interrupt,
    ) -> SearchResult:
        study = session.study
        before = read_result(study)
        self._say(*beginning_lines(before, budget.n_trials))
        best_model = BestModel(
            self.output_dir / "best_model",
            before.best_trial,
            study.study_name,
            model_name(self.model_class),
            objective.melodies.vocab_size,
        )
        with ProgressDisplay(
            self._console, before, budget.n_trials, self.search_space.num_epochs
        ) as progress:
            driver = Driver(
                study,
                plan.space,
                InlineExecutor(objective, interrupt.breakable),
                budget,
                seed=session.seed,
                observers=[
                    best_model,
                    ResultFiles(lambda: read_result(study), self.output_dir),
                    progress,
                ],
                interrupt=interrupt,
                checkpoints=self.output_dir / "checkpoints",
                settings={
                    "sampler": plan.sampler,
                    "pruner": plan.pruner,
                    "device": str(self.device),
                },
            )
            stopped_by = driver.run()
        result = read_result(study, stopped_by)
        write_result_files(result, self.output_dir)
        return result

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _keep_baselines(session: Session, objective: MelodyObjective) -> None:
    """Adds the n-grams' losses to the study's description; they are fitted only once."""
    baselines = attribute(session.study, "baselines")
    if baselines is None:
        baselines = baseline_losses(objective.melodies)
        set_attribute(session.study, "baselines", baselines)
    description = attribute(session.study, "description")
    set_attribute(session.study, "description", {**description, "baselines": baselines})


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
