"""CPU seconds of generating 64 melodies of 100 notes, on one core.

    python benchmarks/generation/run.py

Models are of the demo's largest size, with rhythm; weights are random, which takes as long. Each
row is the median of five. Written to `results.json`; see README.md.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.listening.generation import generate
from chromasonic.melody_generation.listening.sound import render
from chromasonic.melody_generation.models import MODELS
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.model import Network, TrainedModel

HERE = Path(__file__).parent
VOCABULARY = Vocabulary.of("pitch_duration")
PARAMS = {"embedding_dim": 96, "hidden_size": 256, "num_layers": 1}
SONIC = {"embedding_dim": 64, "lstm_units_1": 256, "lstm_units_2": 128}
N_MELODIES, N_NOTES, RUNS = 64, 100, 5


def main() -> None:
    """Measures and writes the results."""
    members = {name: [name] for name in MODELS} | {"five lstms": ["lstm"] * 5}
    results = {name: measure(names) for name, names in members.items()}
    melodies = generate(made(["lstm"]), N_MELODIES, length=N_NOTES)
    results["sound of one melody"] = timed(
        lambda: render(melodies[0].pitches, melodies[0].durations)
    )
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def made(names: list[str]) -> TrainedModel:
    """A model of these networks, with random weights."""
    networks = []
    for name in names:
        sonic = name == "sonic"
        kind = OutputKind.LAST_POSITION if sonic else OutputKind.EVERY_POSITION
        params = SONIC if sonic else PARAMS
        module = build_model(MODELS[name], VOCABULARY, params)
        networks.append(Network(module.eval(), kind, name, params))
    shares = (1 / len(networks),) * len(networks)
    return TrainedModel(tuple(networks), shares, VOCABULARY, {39: 1})


def measure(names: list[str]) -> float:
    """CPU seconds for all the melodies."""
    model = made(names)
    return timed(lambda: generate(model, N_MELODIES, length=N_NOTES))


def timed(run: Callable[[], object]) -> float:
    """The median CPU seconds of a call."""
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return round(median(seconds), 3)


if __name__ == "__main__":
    main()
