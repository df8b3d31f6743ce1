"""Test losses of final models and ensembles on the whole corpus, beside the best n-gram.

    python benchmarks/final_models/run.py

One configuration of an LSTM, chosen by hand after a few trainings on the same tunes, is trained
by the steps that come after a search: `train_final` on training and validation melodies,
`combine` for an ensemble of five. Three seeds, tokens with and without rhythm. All trainings are
kept in `models/`, and it goes on where it was. See README.md.
"""

import json
from datetime import datetime
from pathlib import Path
from statistics import mean

import torch
from rich.console import Console

from chromasonic.melody_generation.after_search._ensemble import combine
from chromasonic.melody_generation.after_search._final_model import train_final
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import RetrainingConfig
from chromasonic.melody_generation.after_search.winner import find_winner
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.sources import DataSource
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.model import TrainedModel
from chromasonic.melody_generation.training.identity import model_name
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.records import SearchResult, TrialRecord

HERE = Path(__file__).parent
SEEDS = (1, 2, 3)
ENSEMBLES = {"pitch": SEEDS, "pitch_duration": ()}
"""The seeds that are made an ensemble, too: each costs five trainings."""

NUM_EPOCHS = 12
PARAMS = {
    "learning_rate": 0.004,
    "batch_size": 16,
    "embedding_dim": 64,
    "hidden_size": 256,
    "num_layers": 1,
    "dropout": 0.3,
}


def main() -> None:
    """Trains what is missing and writes `results.json`."""
    torch.set_num_threads(1)
    results = {"params": PARAMS, "num_epochs": NUM_EPOCHS}
    for tokens in ENSEMBLES:
        results[tokens] = {"runs": [run(tokens, seed) for seed in SEEDS]}
        for kind in ("single", "ensemble"):
            tests = [row[kind] for row in results[tokens]["runs"] if kind in row]
            if tests:
                results[tokens][f"{kind}_mean"] = mean(t["loss"]["estimate"] for t in tests)
        (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def run(tokens: str, seed: int) -> dict:
    """The final model and the ensemble of one seed, on the test tunes."""
    folder = HERE / "models" / f"{tokens}-{seed}"
    search = known_configuration(tokens, seed)
    config = RetrainingConfig(folder / "repeats", jobs=1, console=Console())
    winner = find_winner(search, config, top=1)
    row = {
        "seed": seed,
        "best_epoch": winner.best_epoch,
        "validation_losses": winner.candidates[0].losses,
        "single": test_of(train_final(search, winner, config, folder / "final_model")),
    }
    if seed in ENSEMBLES[tokens]:
        row["ensemble"] = test_of(combine(search, winner, config, folder / "ensemble"))
    return row


def test_of(model: TrainedModel) -> dict:
    """Its scores, and its curve where it has one."""
    curve = [row["loss"] for row in model.card.get("learning_curve", [])]
    return {**model.card["test"], "n_parameters": model.n_parameters, "learning_curve": curve}


def known_configuration(tokens: str, seed: int) -> FinishedSearch:
    """A search that has tried this one configuration."""
    source = DataSource("corpus", tokens, n_sequences=None)
    split, _ = source.load()
    melodies = Melodies.from_data(split.train, split.validation, 88, tokens)
    test = Melodies.from_data(split.test, split.test, 88, tokens).train
    trial = TrialRecord(
        number=0,
        state="COMPLETE",
        ending="completed",
        reason="",
        params=PARAMS,
        learning_curve=(EpochRow(1, 0.0),),
        best_epoch=1,
    )
    sizes = {
        part: {"melodies": len(tunes), "notes": sum(map(len, tunes))}
        for part, tunes in (("train", melodies.train), ("validation", melodies.validation))
    }
    description = {
        "study_name": "known configuration",
        "seed": seed,
        "storage": "none",
        "model": {"name": model_name(LSTMMelodyModel)},
        "data": {**source.describe(), **sizes, "sha256": melodies.fingerprint},
    }
    result = SearchResult((trial,), 0.0, description, datetime.now().isoformat())
    return FinishedSearch(
        result, LSTMMelodyModel, OutputKind.EVERY_POSITION, melodies, list(test), NUM_EPOCHS
    )


if __name__ == "__main__":
    main()
