"""Hyperparameter search of a melody model: `HyperparameterOptimizer`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import torch
from rich.console import Console
from torch import nn

from chromasonic.errors import StudyError
from chromasonic.melody_generation.data.batches import LONGEST_ROW
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.vocabulary import Tokens
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind, check_length, check_model
from chromasonic.melody_generation.trained.baselines import baseline_losses
from chromasonic.melody_generation.trained.best_model import BestModelWriter
from chromasonic.melody_generation.training.devices import choose_device, gpus_of, trial_device
from chromasonic.melody_generation.training.identity import (
    describe_search,
    fingerprint,
    model_name,
)
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.melody_generation.training.scoring import context_length
from chromasonic.melody_generation.training.search_space import (
    HyperparameterSearchSpace,
    model_and_training_params,
)
from chromasonic.melody_generation.training.threads import torch_threads
from chromasonic.paths import expand_home, user_path
from chromasonic.reporting.terminal import print_lines
from chromasonic.search import run_search
from chromasonic.tuning.executors.executor_config import ExecutorConfig
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import SearchResult
from chromasonic.tuning.run_options import Run, RunOptions, with_defaults
from chromasonic.tuning.search_folder import SearchFolder
from chromasonic.tuning.session import SearchPlan, Session
from chromasonic.tuning.study import attribute, set_attribute

__all__ = ["HyperparameterOptimizer", "HyperparameterSearchSpace"]

DEFAULT_OUTPUT_DIR = Path("hyperparameter_search_results")
DEFAULT_STUDY_NAME = "melody_search"
STALL_TIMEOUT_S = 3600.0
"""An epoch of melodies takes seconds or minutes: a trial that is silent for so long hangs."""


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
        self.output_dir = expand_home(output_dir or DEFAULT_OUTPUT_DIR)
        self._console = Console(quiet=not verbose)
        self._result: SearchResult | None = None

    def optimize(
        self,
        train_data: Sequence[Any],
        val_data: Sequence[Any],
        vocab_size: int,
        n_trials: int = 20,
        study_name: str = DEFAULT_STUDY_NAME,
        *,
        accept_changed_model: bool = False,
        data_description: Mapping[str, Any] | None = None,
        tokens: Tokens = "pitch",
        **options: Unpack[RunOptions],
    ) -> SearchResult:
        """The best hyperparameters found, and all trials.

        A search with the same output directory (or storage) and study name is continued.

        Args:
            train_data: Melodies to learn from, each a sequence of tokens 0..vocab_size-1; with
                rhythm each of shape (n_notes, 2), as in `corpus.notes`.
            val_data: Melodies that are scored; the objective is the mean negative log
                probability of their notes, in nats, at a trial's best epoch. It is minimised.
            vocab_size: Number of tokens; of pitches alone where there is rhythm.
            n_trials: The total of trials, those of earlier runs included.
            study_name: What the study is called in the storage.
            accept_changed_model: Go on although the model's source has changed.
            data_description: Where the data come from, kept with the results.
            tokens: `pitch`, or `pitch_duration` to learn rhythm, too, which the built-in models
                can: the loss is then that of a note's duration and of its pitch given that.
            **options: Options of every search, such as `timeout`, `sampler`, `seed` and `jobs`;
                see `RunOptions`. `stall_timeout` is an hour by default.

        Returns:
            A mapping with `best_params`, `best_value`, `model_params`, `training_params`,
            `total_time`, `n_trials`, `trial_results` and more; `stopped_by` says why it ended.
            After Ctrl-C it is the result so far.

        Raises:
            DataError: The data cannot be used.
            ModelError: The model class cannot be searched.
            StudyError: The study cannot be opened, is in use, or was started with something else.
            TypeError: There is no such option.
        ValueError: Another argument is wrong.
        """
        settled = with_defaults({"stall_timeout": STALL_TIMEOUT_S, **options})
        run = Run.from_options(
            settled,
            n_trials,
            gpus=gpus_of(self.device),
            gpus_per_trial=int(self.device.type == "cuda"),
            settings={"device": str(self.device)},
        )
        melodies = Melodies.from_data(train_data, val_data, vocab_size, tokens)
        objective = self._objective(melodies, run.place)
        plan = SearchPlan(
            space=self.search_space.space,
            num_epochs=self.search_space.num_epochs,
            fingerprint=fingerprint(objective, self.search_space),
            output_dir=self.output_dir,
            study_name=study_name,
            storage=settled["storage"],
            sampler=settled["sampler"],
            pruner=settled["pruner"],
            seed=settled["seed"],
            initial_points=settled["initial_points"],
            earlier=settled["earlier"],
            fresh=settled["fresh"],
            accept_changes=accept_changed_model,
            description=describe_search(objective, self.search_space, data_description or {}),
        )

        def observers(session: Session, before: SearchResult) -> list[Observer]:
            _store_baselines(session, objective)
            return [self._best_model(session, before, objective)]

        with torch_threads(run.place.threads):
            self._result = run_search(
                plan, objective, run, console=self._console, observers=observers
            )
        return self._result

    def plot_optimization_history(self, save_path: str | Path) -> Path:
        """Draws each trial's loss and the best so far; returns where the picture is.

        Args:
            save_path: The picture's file; its ending chooses the format, as in `plots.png`.

        Raises:
            MissingExtra: matplotlib is not installed.
            StudyError: `optimize` has not been called.
        """
        from chromasonic.reporting.figures import draw_history, save_figure

        if self._result is None:
            raise StudyError("there is no search result to draw yet. Call optimize first.")
        return save_figure(draw_history(self._result), user_path(save_path))

    def _objective(self, melodies: Melodies, place: ExecutorConfig) -> MelodyObjective:
        """The objective, after a check of the model class."""
        return MelodyObjective(
            self.model_class,
            self._check_model(melodies),
            melodies,
            self.search_space.num_epochs,
            trial_device(self.device, place),
        )

    def _best_model(
        self, session: Session, before: SearchResult, objective: MelodyObjective
    ) -> BestModelWriter:
        description = attribute(session.study, "description")
        return BestModelWriter(
            SearchFolder(user_path(self.output_dir)).best_model,
            before.best_trial,
            objective,
            session.study.study_name,
            description["data"],
        )

    def _check_model(self, melodies: Melodies) -> OutputKind:
        """The notes that a model from the middle of the space predicts."""
        space = self.search_space.space
        middle = space.decode([[0.5] * len(space)])[0]
        model_params, _ = model_and_training_params(middle)
        with torch.random.fork_rng(devices=[]):
            model = build_model(self.model_class, melodies.vocabulary, model_params)
        kind = check_model(model, melodies.vocab_size, context=max(2, context_length(model)))
        if kind is OutputKind.EVERY_POSITION:
            check_length(model, melodies.vocab_size, min(LONGEST_ROW, melodies.longest) - 1)
        if kind is OutputKind.EVERY_POSITION_NOT_CAUSAL:
            self._print(
                f"{model_name(self.model_class)} is not causal: its output at a position depends "
                "on later notes. It is trained and scored on the last position of windows."
            )
        return kind

    def _print(self, *lines: str) -> None:
        print_lines(self._console, *lines)


def _store_baselines(session: Session, objective: MelodyObjective) -> None:
    """Adds the n-grams' losses to the study's description; they are fitted only once."""
    baselines = attribute(session.study, "baselines")
    if baselines is None:
        baselines = baseline_losses(objective.melodies)
        set_attribute(session.study, "baselines", baselines)
    description = attribute(session.study, "description")
    set_attribute(session.study, "description", {**description, "baselines": baselines})
