"""A search that has ended, with its melodies: what every step after it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from chromasonic.errors import DataError, StudyError
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.sources import DataSource
from chromasonic.melody_generation.data.vocabulary import IntArray
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.files import class_named
from chromasonic.tuning.records import SearchResult


@dataclass(frozen=True, eq=False)
class FinishedSearch:
    """A melody search and what it was made on.

    Attributes:
        result: What it found.
        model_class: What was searched.
        kind: Which notes the model predicts.
        melodies: Those it trained and chose by.
        test: Tokens of the melodies that no choice has seen.
        num_epochs: The most epochs of a trial.
    """

    result: SearchResult
    model_class: type[nn.Module]
    kind: OutputKind
    melodies: Melodies
    test: list[IntArray]
    num_epochs: int

    @classmethod
    def of(
        cls,
        result: SearchResult,
        train_data: Sequence[Any],
        val_data: Sequence[Any],
        test_data: Sequence[Any],
        model_class: type[nn.Module] | None = None,
    ) -> FinishedSearch:
        """The search with the melodies it was given, and others to test on.

        Args:
            result: What `HyperparameterOptimizer.optimize` returned.
            train_data: The melodies it learnt from.
            val_data: The melodies it scored.
            test_data: Melodies in the same form that it has not seen.
            model_class: What was searched; imported by its name if left out.

        Raises:
            DataError: The melodies are not those of the search, or cannot be used.
            ModelError: The model class cannot be had.
            StudyError: It was no search of a melody model, or no trial ran to its end.
        """
        if "model" not in result or "vocabulary" not in result["model"]:
            raise StudyError(
                "the search must be one of a melody model, but it is of another kind."
            )
        if result.best_trial is None:
            raise StudyError("a trial must have been trained to its end, but none has. Search on.")
        model = result["model"]
        n_pitches, tokens = model["vocabulary"]["n_pitches"], model["vocabulary"]["tokens"]
        melodies = Melodies.checked(train_data, val_data, n_pitches, tokens)
        if melodies.fingerprint != result["data"]["sha256"]:
            raise DataError(
                "the melodies must be those of the search, but they differ. "
                "Were files added, changed or removed since?"
            )
        # Checked as training data are, and in the same form.
        test = Melodies.checked(test_data, test_data, n_pitches, tokens).train
        return cls(
            result,
            model_class or class_named(model["name"]),
            OutputKind(model["predicts"]),
            melodies,
            list(test),
            result["num_epochs"],
        )

    @classmethod
    def from_source(cls, result: SearchResult) -> FinishedSearch:
        """The search with its melodies loaded again from where they came.

        Raises:
            DataError: They came from Python, cannot be read any more, or have changed.
        """
        if "data" not in result:
            raise StudyError(
                "the search must be one of a melody model, but it is of another kind."
            )
        split, _ = DataSource.from_description(result["data"]).load()
        return cls.of(result, split.train, split.validation, split.test)
