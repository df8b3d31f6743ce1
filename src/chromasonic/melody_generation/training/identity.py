"""Fingerprint and description of a melody search."""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from chromasonic.melody_generation.data.batches import Tunes
from chromasonic.melody_generation.models.trust import sign
from chromasonic.melody_generation.training import loop as training
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.melody_generation.training.search_space import HyperparameterSearchSpace
from chromasonic.tuning.study import Fingerprint

MODEL_SOURCE = "model source"


def fingerprint(
    objective: MelodyObjective, search_space: HyperparameterSearchSpace
) -> Fingerprint:
    """Fingerprint that a study must have to be continued by this search."""
    parameters = search_space.space.to_dict()["parameters"]
    return Fingerprint(
        {
            "space": {parameter["name"]: parameter for parameter in parameters},
            "data": objective.melodies.fingerprint,
            "vocabulary": objective.melodies.vocabulary.to_dict(),
            "model": model_name(objective.model_class),
            MODEL_SOURCE: _source_hash(objective.model_class),
            "number of epochs": objective.num_epochs,
            "training": {
                "gradient clipping": training.LARGEST_GRADIENT_NORM,
                "warm-up": training.WARM_UP_FRACTION,
                "early stopping": training.EARLY_STOPPING_EPOCHS,
            },
            "direction": "minimize",
        },
        acceptable=frozenset({MODEL_SOURCE}),
        hint=", or accept the changed source with accept_changed_model (--accept-changed-model)",
    )


def describe_search(
    objective: MelodyObjective,
    search_space: HyperparameterSearchSpace,
    data_description: Mapping[str, Any],
) -> dict[str, Any]:
    """Description of the search in the result files, from which later commands start."""
    return {
        "direction": "minimize",
        "unit": "nats per note",
        "factors": list(objective.melodies.vocabulary.factors),
        "space": search_space.space.to_dict(),
        "num_epochs": objective.num_epochs,
        "model": {
            "name": model_name(objective.model_class),
            "signature": sign(model_name(objective.model_class)),
            "predicts": str(objective.kind),
            "vocab_size": objective.melodies.vocabulary.n_pitches,
            "vocabulary": objective.melodies.vocabulary.to_dict(),
        },
        "data": {
            **data_description,
            "train": _size(objective.melodies.train),
            "validation": _size(objective.melodies.validation),
            "sha256": objective.melodies.fingerprint,
        },
        "training_parameters": list(training.TrainingSettings.names()),
    }


def model_name(model_class: type[nn.Module]) -> str:
    """Import path of a model class."""
    return f"{model_class.__module__}.{model_class.__qualname__}"


def _source_hash(model_class: type[nn.Module]) -> str:
    try:
        source = inspect.getsource(model_class)
    except (OSError, TypeError):
        # Typed in at a prompt: there is no source to compare.
        return "unknown"
    return hashlib.sha256(source.encode()).hexdigest()


def _size(tunes: Tunes) -> dict[str, int]:
    return {"melodies": len(tunes), "notes": sum(len(tune) for tune in tunes)}
