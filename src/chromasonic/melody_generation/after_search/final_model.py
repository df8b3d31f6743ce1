"""What a search was made for: the winner trained on all but the test melodies, and tested once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from chromasonic.errors import ModelError
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import Training, Workplace, train_again
from chromasonic.melody_generation.after_search.winner import Winner
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.trained.baselines import Baseline, best_baseline
from chromasonic.melody_generation.trained.card import CARD_FILE, model_card
from chromasonic.melody_generation.trained.evaluation import loss_interval, paired_difference
from chromasonic.melody_generation.trained.files import load_model, save_model
from chromasonic.melody_generation.trained.model import TrainedModel

_OF_THE_TRAINING = ("key", "training_params", "training_time", "learning_curve")


def train_final(
    search: FinishedSearch, winner: Winner, workplace: Workplace, folder: Path
) -> TrainedModel:
    """The winner's configuration trained on training and validation melodies, and tested once.

    It trains for as many epochs as the winner's trainings took to their best in the median, on
    the same schedule of learning rates. A folder that already holds just this model is only read:
    the test melodies are scored once.

    Args:
        search: Whose melodies and model class they are.
        winner: What to train with.
        workplace: Where the training runs.
        folder: Where the model goes: weights, configuration, learning curve, scores and a model
            card.

    Raises:
        KeyboardInterrupt: It was broken off; the same call goes on.
        ModelError: The training failed.
    """
    melodies = search.melodies
    everything = replace(
        search,
        melodies=Melodies([*melodies.train, *melodies.validation], [], melodies.vocabulary),
    )
    training = Training(winner.trial, 0, winner.params)
    trained = train_again(everything, [training], workplace, stop_after=winner.best_epoch)
    if training not in trained:
        raise ModelError(
            "the final model must train to its end, but did not. "
            f"The reason is in {workplace.folder / 'optimization_results.json'}."
        )
    model = trained[training]
    if (kept := already_there(folder, model.card["key"], search)) is not None:
        return kept
    card = {
        **{name: model.card[name] for name in _OF_THE_TRAINING},
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
    """The model's loss on the test melodies, with the best n-gram's on the same notes beside it.

    The n-gram is the best on the validation melodies, and then counts those, too.
    """
    scored = model.tune_nats(search.test)
    name, baseline = baseline_on_everything(search.melodies)
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


def baseline_on_everything(melodies: Melodies) -> tuple[str, Baseline]:
    """The n-gram that is best on validation, counted on training and validation melodies."""
    name, best = best_baseline(melodies)
    return name, best.fitted_to([*melodies.train, *melodies.validation])


def already_there(folder: Path, key: str, search: FinishedSearch) -> TrainedModel | None:
    """The model in a folder, if it is the one with that key; else None."""
    try:
        kept = load_model(folder, search.model_class)
    except ModelError:
        return None
    return kept if kept.card.get("key") == key else None
