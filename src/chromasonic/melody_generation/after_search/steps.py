"""Steps after a search: winner, final model, ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from chromasonic.melody_generation.after_search._ensemble import SIZE, combine
from chromasonic.melody_generation.after_search._final_model import train_final
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import RetrainingConfig
from chromasonic.melody_generation.after_search.winner import (
    MOST_REPEATS,
    TOP,
    Winner,
    find_winner,
    write_winner,
)
from chromasonic.melody_generation.trained.model import TrainedModel
from chromasonic.melody_generation.training.threads import torch_threads
from chromasonic.paths import user_path
from chromasonic.plural import counted
from chromasonic.reporting.terminal import print_lines
from chromasonic.reporting.text import winner_lines
from chromasonic.tuning.records import SearchResult
from chromasonic.tuning.search_folder import SearchFolder

FEW_MELODIES = 20
"""Fewest melodies for a bootstrap interval that can be trusted."""


@dataclass(frozen=True)
class AfterSearch:
    """The steps after a search, with shared trainings.

    Attributes:
        search: The search with its melodies.
        results_dir: The search's directory, which keeps retrained models and the winner.
        top: Number of the best configurations to compare.
        repeats: The most trainings of each.
        device: `cpu`, `cuda`, `cuda:N`, `mps` or `auto`.
        executor: `process`, `inline`, or `ray` for the cluster that Ray finds.
        jobs: Trainings at the same time; None for as many as the machine allows.
        verbose: Show progress.
    """

    search: FinishedSearch
    results_dir: Path
    top: int = TOP
    repeats: int = MOST_REPEATS
    device: str = "cpu"
    executor: str = "process"
    jobs: int | None = None
    verbose: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "results_dir", user_path(self.results_dir))

    @torch_threads()
    def winner(self) -> Winner:
        """Finds the winner and its ties by retraining, and writes them to the results."""
        self._print(*self.warnings())
        count = min(self.top, len(self.search.result.ranking()))
        which = "best configuration" if count == 1 else f"best {count} configurations"
        self._print(f"Training the {which} again with fresh seeds.")
        winner = find_winner(self.search, self._config, top=self.top, most_repeats=self.repeats)
        write_winner(winner, self.search, self.results_dir)
        n_trials = len(self.search.result.trials)
        self._print(*winner_lines({**winner.to_dict(), "n_trials": n_trials}, n_trials))
        return winner

    @torch_threads()
    def final_model(self, folder: Path, trial: int | None = None) -> TrainedModel:
        """Trains the winner's configuration on all but the test melodies and writes the model.

        Args:
            folder: Receives the model.
            trial: Another candidate to train instead, such as a smaller one that ties.

        Raises:
            StudyError: That trial is not a candidate.
        """
        winner = self.winner()
        if trial is not None:
            winner = winner.with_winner(trial)
        self._print(f"Training the final model for {counted(winner.best_epoch, 'epoch')}.")
        return self._print_scores(train_final(self.search, winner, self._config, folder), folder)

    @torch_threads()
    def ensemble(self, folder: Path, size: int = SIZE) -> TrainedModel:
        """Builds an ensemble of the best models and writes it."""
        winner = self.winner()
        model = combine(self.search, winner, self._config, folder, size=size)
        return self._print_scores(model, folder)

    def warnings(self) -> list[str]:
        """Warnings of sets too small for intervals over melodies."""
        sizes = {"validate on": self.search.melodies.validation, "test on": self.search.test}
        return [
            f"Only {counted(len(melodies), 'melody', 'melodies')} to {use}: intervals over so few "
            "are too narrow to be trusted."
            for use, melodies in sizes.items()
            if len(melodies) < FEW_MELODIES
        ]

    @property
    def _config(self) -> RetrainingConfig:
        folder = SearchFolder(self.results_dir).repeats
        return RetrainingConfig(folder, self.device, self.executor, self.jobs, self._console)

    @property
    def _console(self) -> Console:
        return Console(quiet=not self.verbose)

    def _print_scores(self, model: TrainedModel, folder: Path) -> TrainedModel:
        self._print(*score_lines(model), f"Model: {folder}")
        return model

    def _print(self, *lines: str) -> None:
        print_lines(self._console, *lines)


def score_lines(model: TrainedModel) -> list[str]:
    """Test loss of a finished model and its differences to the baselines, as text."""
    test = model.card["test"]
    loss, difference = test["loss"], test["minus_ngram"]
    factors = ", ".join(f"{name} {value:.4f}" for name, value in test["factors"].items())
    lines = [
        f"Test loss: {loss['estimate']:.4f} nats per note ({loss['low']:.4f} to "
        f"{loss['high']:.4f})" + (f": {factors}" if len(test["factors"]) > 1 else ""),
        f"Best n-gram on the same notes: {test['ngram_loss']:.4f} ({test['ngram']}); "
        f"difference {difference['estimate']:+.4f} "
        f"({difference['low']:+.4f} to {difference['high']:+.4f})",
    ]
    if "minus_best_member" in test:
        gain = test["minus_best_member"]
        lines.append(
            f"Best member alone: {test['best_member_loss']:.4f}; difference "
            f"{gain['estimate']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})"
        )
    return lines


def train_final_model(
    result: SearchResult,
    train_data: Sequence[Any],
    val_data: Sequence[Any],
    test_data: Sequence[Any],
    output_dir: str | Path,
    *,
    results_dir: str | Path | None = None,
    model_class: type[nn.Module] | None = None,
    trial: int | None = None,
    **settings: Any,
) -> TrainedModel:
    """Trains the final model of a search on all but the test melodies, and writes it to a folder.

    The best few configurations are trained again with fresh seeds to find the winner; its
    settings train the final model, which is scored once on the test melodies. Models trained
    before are reused.

    Args:
        result: As `HyperparameterOptimizer.optimize` returned it.
        train_data: Training melodies of the search.
        val_data: Validation melodies of the search.
        test_data: Melodies in the same form that the search has not seen.
        output_dir: Receives the model, for `load_model`.
        results_dir: Keeps the retrained models and the winner; the parent of `output_dir` by
            default.
        model_class: The model class searched; imported by its name if left out.
        trial: Another candidate to train instead of the winner, such as a smaller model
            that ties with it.
        **settings: `top`, `repeats`, `device`, `executor`, `jobs` and `verbose` of `AfterSearch`.

    Raises:
        DataError: The melodies are not those of the search.
        ModelError: The model class cannot be imported, or the training failed.
        StudyError: No trial of the search, or no retraining, completed.
        KeyboardInterrupt: Interrupted; the same call resumes.
    """
    search = FinishedSearch.of(result, train_data, val_data, test_data, model_class)
    folder = user_path(output_dir)
    after = AfterSearch(search, user_path(results_dir or folder.parent), **settings)
    return after.final_model(folder, trial)


def build_ensemble(
    result: SearchResult,
    train_data: Sequence[Any],
    val_data: Sequence[Any],
    test_data: Sequence[Any],
    output_dir: str | Path,
    *,
    size: int = SIZE,
    results_dir: str | Path | None = None,
    model_class: type[nn.Module] | None = None,
    **settings: Any,
) -> TrainedModel:
    """Builds an ensemble of a search's best configurations and seeds, and writes it to a folder.

    Members learn from the training melodies alone; the validation melodies select and weight them;
    the ensemble is scored once on the test melodies, beside its best member.

    Args:
        result: As `HyperparameterOptimizer.optimize` returned it.
        train_data: Training melodies of the search.
        val_data: Validation melodies of the search.
        test_data: Melodies in the same form that the search has not seen.
        output_dir: Receives the ensemble, for `load_model`.
        size: Number of members, at least 2.
        results_dir: As in `train_final_model`.
        model_class: As in `train_final_model`.
        **settings: As in `train_final_model`.

    Raises:
        ValueError: `size` is below 2.
        ChromasonicError: As in `train_final_model`.
    """
    search = FinishedSearch.of(result, train_data, val_data, test_data, model_class)
    folder = user_path(output_dir)
    after = AfterSearch(search, user_path(results_dir or folder.parent), **settings)
    return after.ensemble(folder, size)
