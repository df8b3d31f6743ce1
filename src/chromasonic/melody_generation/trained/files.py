"""Folders of trained models: weights and a description, without code.

`config.json` names the classes, their parameters and the vocabulary; each network has a
`.safetensors` file of weights. Nothing in a folder is ever run; which classes are imported by name
is decided in `trust.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from msgspec import Meta, Struct
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from chromasonic.errors import ModelError, StudyError, one_line
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.models.trust import (
    BUILT_IN,
    import_model_class,
    sign,
)
from chromasonic.melody_generation.trained.model import Network, TrainedModel
from chromasonic.melody_generation.training.identity import model_name
from chromasonic.melody_generation.training.loop import load_best_weights
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.paths import expand_home
from chromasonic.reporting.result_files import package_versions, to_json
from chromasonic.tuning.files import (
    read_bounded,
    read_bounded_json,
    replace_folder,
    unfinished_folder,
)
from chromasonic.tuning.stored import require_stored

CONFIG_FILE = "config.json"
SCHEMA_VERSION = 1
LARGEST_WEIGHTS = 2**34
"""Bytes of the largest file of weights that is read, 16 GB."""
_FOLDERS_OF_MODELS = ("final_model", "ensemble", "best_model")


class StoredVocabulary(Struct):
    """Meaning of the tokens, in `config.json`."""

    n_pitches: Annotated[int, Meta(ge=1, le=10**6)]
    durations: list[Annotated[int, Meta(ge=0, le=10**9)]]


class StoredNetwork(Struct, rename={"class_": "class"}):
    """A network in `config.json`."""

    class_: str
    predicts: str
    params: dict[str, str | bool | int | float | None]
    file: str
    signature: str = ""


class StoredModel(Struct):
    """`config.json`."""

    vocabulary: StoredVocabulary
    networks: Annotated[list[StoredNetwork], Meta(min_length=1)]
    weights: list[int | float]
    starts: dict[str, Annotated[int, Meta(ge=0, le=10**9)]]
    card: dict[str, Any]


@dataclass(frozen=True, eq=False)
class NetworkState:
    """A network's class, constructor arguments and weights.

    Attributes:
        class_name: Import path of its class.
        predicts: The notes it predicts.
        params: Constructor arguments besides the vocabulary.
        state: Its weights by name.
    """

    class_name: str
    predicts: str
    params: Mapping[str, Any]
    state: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class ModelState:
    """Contents of a model's folder.

    Attributes:
        networks: One, or the members of an ensemble.
        weights: The share of each network, summing to 1.
        vocabulary: Meaning of the tokens.
        starts: Number of training melodies that begin with each token.
        card: Further facts about the model: data, training, scores.
    """

    networks: Sequence[NetworkState]
    weights: Sequence[float]
    vocabulary: Vocabulary
    starts: Mapping[int, int]
    card: Mapping[str, Any]

    @classmethod
    def from_model(cls, model: TrainedModel) -> Self:
        """The state of a model in memory."""
        networks = [
            NetworkState(n.class_name, n.kind, n.params, n.module.state_dict())
            for n in model.networks
        ]
        return cls(networks, model.weights, model.vocabulary, model.starts, model.card)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Path,
        objective: MelodyObjective,
        model_params: Mapping[str, Any],
        card: Mapping[str, Any],
    ) -> Self:
        """The state of a training's best epoch, without building the network."""
        network = NetworkState(
            model_name(objective.model_class),
            objective.kind,
            model_params,
            load_best_weights(checkpoint),
        )
        melodies = objective.melodies
        return cls([network], [1.0], melodies.vocabulary, melodies.starts, card)


def save_model(model: TrainedModel, folder: Path, texts: Mapping[str, str] | None = None) -> Path:
    """Writes a model to a folder, whole or not at all, and returns the folder.

    Args:
        model: The model to write.
        folder: Replaced if it exists.
        texts: Further files by name.
    """
    return write_model(ModelState.from_model(model), folder, texts)


def write_model(model: ModelState, folder: Path, texts: Mapping[str, str] | None = None) -> Path:
    """Writes a model's state as `save_model` does."""
    names = _weight_files(len(model.networks))
    config = {
        "schema_version": SCHEMA_VERSION,
        "vocabulary": model.vocabulary.to_dict(),
        "networks": [
            {
                "class": n.class_name,
                "signature": sign(n.class_name),
                "predicts": n.predicts,
                "params": n.params,
                "file": name,
            }
            for n, name in zip(model.networks, names, strict=True)
        ],
        "weights": list(model.weights),
        "starts": model.starts,
        "card": model.card,
        "versions": package_versions(),
    }
    with unfinished_folder(folder) as beside:
        unfinished = beside / folder.name
        unfinished.mkdir()
        for name, network in zip(names, model.networks, strict=True):
            state = network.state.items()
            on_cpu = {key: tensor.detach().cpu().contiguous() for key, tensor in state}
            # Through Python's own writing, a full disk is an OSError.
            (unfinished / name).write_bytes(safetensors.save(on_cpu))
        for name, text in {CONFIG_FILE: to_json(config), **(texts or {})}.items():
            (unfinished / name).write_text(text, encoding="utf-8")
        replace_folder(folder, unfinished)
    return folder


def load_model(
    folder: str | Path,
    model_class: type[nn.Module] | None = None,
    device: str | torch.device = "cpu",
    *,
    trust_code: bool = False,
) -> TrainedModel:
    """A trained model or ensemble from its folder, ready to predict.

    A folder holds no code. A class that is not built in is imported by its name only if this user
    has written the folder, or says so.

    Args:
        folder: A folder written by `chromasonic train`, `chromasonic ensemble` or a search
            (`best_model`).
        model_class: The class of a model of your own; imported by its name if left out.
        device: Device on which it predicts.
        trust_code: True to import a class of any name that the folder says.

    Raises:
        ModelError: The folder has no model, it is damaged, or its class is not trusted or cannot
            be imported.
    """
    folder = expand_home(folder)
    config = _read_config(folder)
    try:
        require_stored(config, StoredModel, CONFIG_FILE)
        vocabulary = Vocabulary.from_dict(config["vocabulary"])
        networks = tuple(
            _load_network(folder, n, vocabulary, model_class, trust_code)
            for n in config["networks"]
        )
        weights = tuple(map(float, config["weights"]))
        starts = {int(token): int(count) for token, count in config["starts"].items()}
        card = dict(config["card"])
    except StudyError as error:
        why = str(error).removeprefix(f"{CONFIG_FILE} is damaged: ").rstrip(".")
        raise ModelError(_damage_message(folder, why)) from None
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(_damage_message(folder, one_line(error))) from None
    if not networks or len(networks) != len(weights):
        raise ModelError(_damage_message(folder, "it does not have one weight for each network"))
    return TrainedModel(networks, weights, vocabulary, starts, card).to(torch.device(device))


def load_model_with_key(
    folder: Path, key: str, model_class: type[nn.Module]
) -> TrainedModel | None:
    """The model in a folder if its card has that key; None if not, or if it cannot be loaded."""
    try:
        model = load_model(folder, model_class)
    except ModelError:
        return None
    return model if model.card.get("key") == key else None


def _weight_files(n_networks: int) -> list[str]:
    if n_networks == 1:
        return ["weights.safetensors"]
    return [f"member-{i}.safetensors" for i in range(1, n_networks + 1)]


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    try:
        config = read_bounded_json(file)
    except FileNotFoundError:
        raise ModelError(
            f"a model folder must contain {CONFIG_FILE}, but {folder} does not. "
            f"{_folder_hint(folder)}"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(_damage_message(folder, one_line(error))) from None
    if not isinstance(config, dict) or config.get("schema_version") != SCHEMA_VERSION:
        raise ModelError(
            _damage_message(folder, f"{CONFIG_FILE} does not have schema_version {SCHEMA_VERSION}")
        )
    return config


def _folder_hint(folder: Path) -> str:
    for name in _FOLDERS_OF_MODELS:
        if (folder / name / CONFIG_FILE).exists():
            return f"Did you mean {folder / name}?"
    return "Pass a folder written by chromasonic train, or best_model of a search."


def _load_network(
    folder: Path,
    described: Mapping[str, Any],
    vocabulary: Vocabulary,
    model_class: type[nn.Module] | None,
    trust_code: bool,
) -> Network:
    class_name, params = str(described["class"]), dict(described["params"])
    kind = OutputKind(described["predicts"])
    if model_class is None:
        signature = str(described.get("signature", ""))
        model_class = import_model_class(class_name, signature, trust_code=trust_code)
    # Weights are in the folder itself: a path that leads elsewhere is not followed.
    file = folder / Path(str(described["file"])).name
    try:
        weights = safetensors.load(read_bounded(file, LARGEST_WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise ModelError(_damage_message(folder, one_line(error))) from None
    if model_class in BUILT_IN.values():
        _check_sizes(folder, model_class, vocabulary, params, weights)
    with torch.random.fork_rng(devices=[]):
        module = build_model(model_class, vocabulary, params)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(_damage_message(folder, one_line(error))) from None
    return Network(module.eval(), kind, class_name, params)


def _check_sizes(
    folder: Path,
    model_class: type[nn.Module],
    vocabulary: Vocabulary,
    params: Mapping[str, Any],
    weights: Mapping[str, Tensor],
) -> None:
    """Raises where the weights are not those of a built-in network of these parameters.

    The network is built without memory, after its depth is known to be that of the weights.
    """
    n_weights = sum(tensor.numel() for tensor in weights.values())
    for name, value in params.items():
        most = len(weights) if name.endswith("_layers") else n_weights
        if isinstance(value, int) and not isinstance(value, bool) and value > most:
            raise ModelError(_damage_message(folder, f"its weights do not fit {name}={value}"))
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        wanted = build_model(model_class, vocabulary, params).state_dict()
    if {n: w.shape for n, w in wanted.items()} != {n: w.shape for n, w in weights.items()}:
        raise ModelError(_damage_message(folder, "its weights do not fit its parameters"))


def _damage_message(folder: Path, why: str) -> str:
    return f"the model in {folder} is damaged: {why}."
