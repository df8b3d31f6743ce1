"""A finished search with its melodies, from which all later steps start."""

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
from chromasonic.melody_generation.models.trust import import_model_class
from chromasonic.tuning.records import SearchResult


@dataclass(frozen=True, eq=False)
class FinishedSearch:
    """A melody search with its model class and melodies.

    Attributes:
        result: Result of the search.
        model_class: The model class searched.
        kind: The notes that the model predicts.
        melodies: Training and validation melodies.
        test: Tokens of the test melodies, which no choice depends on.
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
        *,
        trust_code: bool = False,
    ) -> FinishedSearch:
        """Joins a result with the melodies of its search, and others to test on.

        Args:
            result: As `HyperparameterOptimizer.optimize` returned it.
            train_data: Training melodies of the search.
            val_data: Validation melodies of the search.
            test_data: Melodies in the same form that the search has not seen.
            model_class: The model class searched; imported by its name if left out.
            trust_code: True to import a class of any name that the result says.

        Raises:
            DataError: The melodies are not those of the search, or cannot be used.
            ModelError: The model class is not trusted or cannot be imported.
            StudyError: The search is not of a melody model, or has no completed trial.
        """
        if "model" not in result or "vocabulary" not in result["model"]:
            raise StudyError(
                "the search is not of a melody model. Use the results of a melody search."
            )
        if result.best_trial is None:
            raise StudyError("the search has no completed trial yet. Run more trials.")
        model = result["model"]
        n_pitches, tokens = model["vocabulary"]["n_pitches"], model["vocabulary"]["tokens"]
        melodies = Melodies.from_data(train_data, val_data, n_pitches, tokens)
        if melodies.fingerprint != result["data"]["sha256"]:
            raise DataError(
                "the melodies must be those of the search, but they differ. "
                "Were files added, changed or removed since?"
            )
        # Checked as training data are, and in the same form.
        test = Melodies.from_data(test_data, test_data, n_pitches, tokens).train
        return cls(
            result,
            model_class
            or import_model_class(
                str(model["name"]), str(model.get("signature", "")), trust_code=trust_code
            ),
            OutputKind(model["predicts"]),
            melodies,
            list(test),
            result["num_epochs"],
        )

    @classmethod
    def from_source(cls, result: SearchResult, *, trust_code: bool = False) -> FinishedSearch:
        """Joins a result with its melodies, loaded again from their source.

        Raises:
            DataError: The melodies were passed in Python, cannot be read, or have changed.
        """
        if "data" not in result:
            raise StudyError(
                "the search is not of a melody model. Use the results of a melody search."
            )
        split, _ = DataSource.from_description(result["data"]).load()
        return cls.of(result, split.train, split.validation, split.test, trust_code=trust_code)
