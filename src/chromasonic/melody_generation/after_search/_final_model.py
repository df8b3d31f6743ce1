"""The final model: the winner's configuration trained on all but the test melodies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from chromasonic.errors import ModelError
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import (
    RetrainingConfig,
    Training,
    train_again,
)
from chromasonic.melody_generation.after_search.winner import Winner
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.trained.baselines import Baseline, best_baseline
from chromasonic.melody_generation.trained.card import CARD_FILE, model_card
from chromasonic.melody_generation.trained.evaluation import loss_interval, paired_difference
from chromasonic.melody_generation.trained.files import load_model_with_key, save_model
from chromasonic.melody_generation.trained.model import TrainedModel

_TRAINING_KEYS = ("key", "training_params", "training_time", "learning_curve")


def train_final(
    search: FinishedSearch, winner: Winner, config: RetrainingConfig, folder: Path
) -> TrainedModel:
    """Trains the winner's configuration on training and validation melodies, and tests it once.

    The number of epochs is the median best epoch of the winner's trainings, on the same learning
    rate schedule. If the folder already holds this very model, it is loaded: the test melodies
    are scored once.

    Args:
        search: Supplies melodies and model class.
        winner: Supplies the configuration and the number of epochs.
        config: Folder, device and executor of the training.
        folder: Receives the model: weights, configuration, learning curve, scores, model card.

    Raises:
        KeyboardInterrupt: Interrupted; the same call resumes.
        ModelError: The training failed.
    """
    melodies = search.melodies
    everything = replace(
        search,
        melodies=Melodies([*melodies.train, *melodies.validation], [], melodies.vocabulary),
    )
    training = Training(winner.trial, 0, winner.params)
    trained = train_again(everything, [training], config, stop_after=winner.best_epoch)
    if training not in trained:
        raise ModelError(
            "the training of the final model failed. "
            f"The reason is in {config.folder / 'optimization_results.json'}."
        )
    model = trained[training]
    key = model.card["key"]
    if (existing := load_model_with_key(folder, key, search.model_class)) is not None:
        return existing
    card = {
        **{name: model.card[name] for name in _TRAINING_KEYS},
        "kind": "model",
        "trial": winner.trial,
        "ties": winner.ties,
        "epochs": winner.best_epoch,
        "num_epochs": search.num_epochs,
        "data": search.result["data"],
        "search": {key: search.result[key] for key in ("study_name", "seed", "storage")},
        "test": score_on_test(model, search),
    }
    final = replace(model, card=card)
    save_model(final, folder, {CARD_FILE: model_card(final)})
    return final


def score_on_test(model: TrainedModel, search: FinishedSearch) -> dict[str, Any]:
    """The losses of the model and of the best n-gram on the test melodies.

    The n-gram is the best on the validation melodies, and is then refitted with them included.
    """
    scored = model.tune_nats(search.test)
    name, baseline = refit_best_baseline(search.melodies)
    ngram = baseline.tune_nats(search.test)
    return {
        "melodies": len(search.test),
        "notes": int(scored.notes.sum()),
        "loss": loss_interval(scored).to_dict(),
        "factors": scored.factor_losses,
        "ngram": name,
        "ngram_loss": ngram.loss,
        "ngram_factors": ngram.factor_losses,
        "minus_ngram": paired_difference(scored, ngram).to_dict(),
    }


def refit_best_baseline(melodies: Melodies) -> tuple[str, Baseline]:
    """The n-gram that is best on validation, counted on training and validation melodies."""
    name, best = best_baseline(melodies)
    return name, best.refit([*melodies.train, *melodies.validation])
