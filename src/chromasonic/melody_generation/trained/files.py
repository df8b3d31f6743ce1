"""Trained models as folders: weights without code, and what they are of.

`config.json` names the classes, their parameters and the vocabulary; each network has a
`.safetensors` file of weights beside it. Nothing in a folder is ever run: a class of a user's own
is imported by its name, as any import statement would.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from chromasonic.errors import ModelError, one_line
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.model import Network, TrainedModel
from chromasonic.reporting.result_files import package_versions, to_json
from chromasonic.tuning.files import replace_folder

CONFIG_FILE = "config.json"
SCHEMA_VERSION = 1
_FOLDERS_OF_MODELS = ("final_model", "ensemble", "best_model")

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class NetworkDescription:
    """What a network is built from.

    Attributes:
        class_name: Where its class can be imported from.
        predicts: Which notes it predicts.
        params: What its constructor is given besides the vocabulary.
    """

    class_name: str
    predicts: str
    params: Mapping[str, Any]


def save_model(model: TrainedModel, folder: Path, texts: Mapping[str, str] | None = None) -> Path:
    """Writes a model to a folder, whole or not at all, and returns the folder.

    Args:
        model: What is written.
        folder: What was there before is replaced.
        texts: Further files by name.
    """
    described = [NetworkDescription(n.class_name, n.kind, n.params) for n in model.networks]
    states = [network.module.state_dict() for network in model.networks]
    parts = described, states, model.weights
    write_model(folder, model.vocabulary, *parts, model.starts, model.card, texts)
    return folder


def write_model(
    folder: Path,
    vocabulary: Vocabulary,
    networks: Sequence[NetworkDescription],
    states: Sequence[Weights],
    weights: Sequence[float],
    starts: Mapping[int, int],
    card: Mapping[str, Any],
    texts: Mapping[str, str] | None = None,
) -> None:
    """The same from parts, without the networks themselves."""
    names = _weight_files(len(networks))
    config = {
        "schema_version": SCHEMA_VERSION,
        "vocabulary": vocabulary.to_dict(),
        "networks": [
            {"class": n.class_name, "predicts": n.predicts, "params": n.params, "file": name}
            for n, name in zip(networks, names, strict=True)
        ],
        "weights": list(weights),
        "starts": starts,
        "card": card,
        "versions": package_versions(),
    }
    unfinished = folder.with_name(f".unfinished-{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        for name, state in zip(names, states, strict=True):
            on_cpu = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
            # Through Python's own writing, a full disk is an OSError.
            (unfinished / name).write_bytes(safetensors.save(on_cpu))
        for name, text in {CONFIG_FILE: to_json(config), **(texts or {})}.items():
            (unfinished / name).write_text(text, encoding="utf-8")
        replace_folder(folder, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def load_model(
    folder: str | Path,
    model_class: type[nn.Module] | None = None,
    device: str | torch.device = "cpu",
) -> TrainedModel:
    """A trained model or ensemble from its folder, ready to predict.

    Args:
        folder: What `chromasonic train`, `chromasonic ensemble` or a search (`best_model`) wrote.
        model_class: The class of a model of your own; imported by its name if left out.
        device: Where it is to predict.

    Raises:
        ModelError: There is no model there, it is damaged, or its class cannot be had.
    """
    folder = Path(folder)
    config = _read_config(folder)
    try:
        vocabulary = Vocabulary.from_dict(config["vocabulary"])
        networks = tuple(_network(folder, n, vocabulary, model_class) for n in config["networks"])
        weights = tuple(map(float, config["weights"]))
        starts = {int(token): int(count) for token, count in config["starts"].items()}
        card = dict(config["card"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(_damaged(folder, one_line(error))) from None
    if not networks or len(networks) != len(weights):
        raise ModelError(_damaged(folder, "it does not weigh each of its networks"))
    return TrainedModel(networks, weights, vocabulary, starts, card).to(torch.device(device))


def _weight_files(n_networks: int) -> list[str]:
    if n_networks == 1:
        return ["weights.safetensors"]
    return [f"member-{i}.safetensors" for i in range(1, n_networks + 1)]


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"a trained model must be a folder with {CONFIG_FILE}, but {folder} is none. "
            f"{_advice(folder)}"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(_damaged(folder, one_line(error))) from None
    if not isinstance(config, dict) or config.get("schema_version") != SCHEMA_VERSION:
        raise ModelError(_damaged(folder, f"{CONFIG_FILE} is not of schema {SCHEMA_VERSION}"))
    return config


def _advice(folder: Path) -> str:
    for name in _FOLDERS_OF_MODELS:
        if (folder / name / CONFIG_FILE).exists():
            return f"Did you mean {folder / name}?"
    return "Use what chromasonic train wrote, or best_model of a search."


def _network(
    folder: Path,
    described: Mapping[str, Any],
    vocabulary: Vocabulary,
    model_class: type[nn.Module] | None,
) -> Network:
    class_name, params = str(described["class"]), dict(described["params"])
    kind = OutputKind(described["predicts"])
    # Weights are in the folder itself: a path that leads elsewhere is none of ours.
    file = folder / Path(str(described["file"])).name
    with torch.random.fork_rng(devices=[]):
        module = build_model(model_class or class_named(class_name), vocabulary, params)
    try:
        module.load_state_dict(safetensors.load(file.read_bytes()))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(_damaged(folder, one_line(error))) from None
    return Network(module.eval(), kind, class_name, params)


def class_named(name: str) -> type[nn.Module]:
    """The model class of that name, imported.

    Raises:
        ModelError: It cannot be imported, or is no model.
    """
    module, _, class_ = name.rpartition(".")
    try:
        found = getattr(import_module(module), class_)
    except Exception as error:
        raise ModelError(
            f"the model's class must be importable, but {name} is not: {one_line(error)}. "
            "Put its module on the Python path, or pass the class as model_class."
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelError(f"the model's class must be a torch.nn.Module, but {name} is none.")
    return found


def _damaged(folder: Path, why: str) -> str:
    return f"the model in {folder} must be as it was written, but it is damaged: {why}."
