"""What comes after a search: its honest winner, the final model, an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from chromasonic.melody_generation.after_search.ensemble import SIZE, combine
from chromasonic.melody_generation.after_search.final_model import train_final
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import Workplace
from chromasonic.melody_generation.after_search.winner import (
    MOST_REPEATS,
    TOP,
    Winner,
    find_winner,
    write_winner,
)
from chromasonic.melody_generation.trained.model import TrainedModel
from chromasonic.reporting.text import winner_lines
from chromasonic.tuning.records import SearchResult

REPEATS_FOLDER = "repeats"
FEW_MELODIES = 20
"""With fewer a bootstrap over melodies knows little of how they differ."""


@dataclass(frozen=True)
class AfterSearch:
    """The steps after a search, which share their trainings.

    Attributes:
        search: The search with its melodies.
        results_dir: The search's directory, which keeps further trainings and the winner.
        top: How many of the best configurations are compared.
        repeats: The most trainings of each.
        device: `cpu`, `cuda`, `cuda:N`, `mps` or `auto`.
        executor: `process`, `inline`, or `ray` for the cluster that Ray finds.
        jobs: Trainings at the same time; None for what the machine can bear.
        verbose: Whether to show progress.
    """

    search: FinishedSearch
    results_dir: Path
    top: int = TOP
    repeats: int = MOST_REPEATS
    device: str = "cpu"
    executor: str = "process"
    jobs: int | None = None
    verbose: bool = True

    def winner(self) -> Winner:
        """The winner, trained again with fresh seeds, and those that tie; kept in the results."""
        self._say(*self._few_melodies())
        count = min(self.top, len(self.search.result.ranking()))
        self._say(f"Training the best {count} again with fresh seeds.")
        winner = find_winner(self.search, self._workplace, top=self.top, most_repeats=self.repeats)
        write_winner(winner, self.search, self.results_dir)
        n_trials = len(self.search.result.trials)
        self._say(*winner_lines({**winner.to_dict(), "n_trials": n_trials}, n_trials))
        return winner

    def final_model(self, folder: Path, trial: int | None = None) -> TrainedModel:
        """The winner's configuration trained on all but the test melodies, in a folder.

        Args:
            folder: Where the model goes.
            trial: Another of the candidates to take instead, such as a smaller one that ties.

        Raises:
            StudyError: That trial is none of the candidates.
        """
        winner = self.winner()
        if trial is not None:
            winner = winner.choosing(trial)
        self._say(f"Training the final model for {winner.best_epoch} epochs.")
        return self._told(train_final(self.search, winner, self._workplace, folder), folder)

    def ensemble(self, folder: Path, size: int = SIZE) -> TrainedModel:
        """The best models as one, in a folder."""
        winner = self.winner()
        model = combine(self.search, winner, self._workplace, folder, size=size)
        return self._told(model, folder)

    def _few_melodies(self) -> list[str]:
        """What must be said where intervals rest on next to nothing."""
        sizes = {"choose by": self.search.melodies.validation, "test on": self.search.test}
        return [
            f"There are only {len(melodies)} melodies to {use}: intervals over so few are too "
            "narrow to be trusted."
            for use, melodies in sizes.items()
            if len(melodies) < FEW_MELODIES
        ]

    @property
    def _workplace(self) -> Workplace:
        folder = self.results_dir / REPEATS_FOLDER
        return Workplace(folder, self.device, self.executor, self.jobs, self._console)

    @property
    def _console(self) -> Console:
        return Console(quiet=not self.verbose)

    def _told(self, model: TrainedModel, folder: Path) -> TrainedModel:
        self._say(*score_lines(model), f"Model: {folder}")
        return model

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def score_lines(model: TrainedModel) -> list[str]:
    """What a finished model lost on the test melodies, beside what it must beat."""
    test = model.card["test"]
    loss, ahead = test["loss"], test["minus_ngram"]
    factors = ", ".join(f"{name} {value:.4f}" for name, value in test["factors"].items())
    lines = [
        f"Test loss: {loss['estimate']:.4f} nats per note ({loss['low']:.4f} to "
        f"{loss['high']:.4f})" + (f": {factors}" if len(test["factors"]) > 1 else ""),
        f"Best n-gram on the same notes: {test['ngram_loss']:.4f} ({test['ngram']}); "
        f"difference {ahead['estimate']:+.4f} ({ahead['low']:+.4f} to {ahead['high']:+.4f})",
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
    """The model that a search was made for, trained on all but the test melodies, in a folder.

    The best few configurations are trained again with fresh seeds to find the winner; its
    settings train the final model, which is scored once on the test melodies. What was trained
    before is not trained again.

    Args:
        result: What `HyperparameterOptimizer.optimize` returned.
        train_data: The melodies it learnt from.
        val_data: The melodies it scored.
        test_data: Melodies in the same form that it has not seen.
        output_dir: Where the model goes, for `load_model`.
        results_dir: Keeps the further trainings and the winner; the parent of `output_dir` by
            default.
        model_class: What was searched; imported by its name if left out.
        trial: Another of the candidates to take instead of the winner, such as a smaller model
            that ties with it.
        **settings: `top`, `repeats`, `device`, `executor`, `jobs` and `verbose` of `AfterSearch`.

    Raises:
        DataError: The melodies are not those of the search.
        ModelError: The model class cannot be had, or the training failed.
        StudyError: No trial of the search, or none of the further trainings, ran to its end.
        KeyboardInterrupt: It was broken off; the same call goes on.
    """
    search = FinishedSearch.of(result, train_data, val_data, test_data, model_class)
    folder = Path(output_dir)
    after = AfterSearch(search, Path(results_dir or folder.parent), **settings)
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
    """The best of a search's configurations and seeds as one model, in a folder.

    Members learn from the training melodies alone; the validation melodies choose and weigh them;
    the ensemble is scored once on the test melodies, beside its best member.

    Args:
        result: What `HyperparameterOptimizer.optimize` returned.
        train_data: The melodies it learnt from.
        val_data: The melodies it scored.
        test_data: Melodies in the same form that it has not seen.
        output_dir: Where the ensemble goes, for `load_model`.
        size: How many members, at least 2.
        results_dir: As in `train_final_model`.
        model_class: As in `train_final_model`.
        **settings: As in `train_final_model`.

    Raises:
        ValueError: `size` is below 2.
        ChromasonicError: As in `train_final_model`.
    """
    search = FinishedSearch.of(result, train_data, val_data, test_data, model_class)
    folder = Path(output_dir)
    after = AfterSearch(search, Path(results_dir or folder.parent), **settings)
    return after.ensemble(folder, size)
