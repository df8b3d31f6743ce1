"""Ensemble of a search's best models: the weighted mean of their probabilities.

M: members. N: notes.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from chromasonic.errors import StudyError
from chromasonic.melody_generation.after_search._final_model import score_on_test
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import (
    RetrainingConfig,
    Training,
    train_again,
)
from chromasonic.melody_generation.after_search.winner import Winner
from chromasonic.melody_generation.trained.card import CARD_FILE, model_card
from chromasonic.melody_generation.trained.evaluation import paired_difference
from chromasonic.melody_generation.trained.files import load_model_with_key, save_model
from chromasonic.melody_generation.trained.model import TrainedModel, target_nats

SIZE = 5
_EM_STEPS = 200


def combine(
    search: FinishedSearch,
    winner: Winner,
    config: RetrainingConfig,
    folder: Path,
    *,
    size: int = SIZE,
) -> TrainedModel:
    """Builds an ensemble of the best configurations and seeds, and tests it once.

    Candidates are the retrained models of the configurations that were compared for the winner;
    more are trained if there are too few. All have learnt from the training melodies alone, so
    that the validation melodies can select and weight them. If the folder already holds this very
    ensemble, it is loaded: the test melodies are scored once.

    Args:
        search: Supplies melodies and model class.
        winner: The configurations, best first.
        config: Folder, device and executor of trainings; earlier models are reused.
        folder: Receives the ensemble.
        size: Number of members, at least 2.

    Raises:
        KeyboardInterrupt: Interrupted; the same call resumes.
        StudyError: Too few trainings completed.
        ValueError: `size` is below 2.
    """
    if size < 2:
        raise ValueError(f"an ensemble must have at least 2 members, but got {size}.")
    candidates = _candidates(search, winner, config, size)
    nats = torch.stack([_note_nats(model, search) for model in candidates])  # (candidates, N)
    chosen = choose_members(nats, size)
    weights = fit_weights(nats[chosen])
    members = [candidates[i] for i in chosen]
    key = sha256("".join(m.card["key"] for m in members).encode()).hexdigest()[:12]
    if (existing := load_model_with_key(folder, key, search.model_class)) is not None:
        return existing
    ensemble = TrainedModel(
        tuple(member.networks[0] for member in members),
        weights,
        search.melodies.vocabulary,
        search.melodies.starts,
    )
    card = {
        "kind": "ensemble",
        "key": key,
        "data": search.result["data"],
        "search": {name: search.result[name] for name in ("study_name", "seed", "storage")},
        "members": [
            {
                **{name: member.card[name] for name in ("trial", "repeat", "val_loss")},
                "weight": weight,
            }
            for member, weight in zip(members, weights, strict=True)
        ],
        "validation_loss": ensemble.tune_nats(search.melodies.validation).loss,
        "test": {
            **score_on_test(ensemble, search),
            **_best_member_scores(ensemble, members, search),
        },
    }
    ensemble = replace(ensemble, card=card)
    save_model(ensemble, folder, {CARD_FILE: model_card(ensemble)})
    return ensemble


def choose_members(nats: Tensor, size: int) -> list[int]:
    """Greedy forward selection of the models whose equally weighted mean predicts best.

    Step m adds the candidate c that minimises the mean over notes of -log(sum of p_i / m), i
    running over c and the m - 1 chosen before.

    Args:
        nats: Of each candidate on each validation note, shape (candidates, N).
        size: Number of models to choose, each at most once.

    Source: Caruana et al. (2004), ensemble selection from libraries of models; here without
        replacement.
    """
    probabilities = (-nats).exp()
    total, chosen = torch.zeros_like(probabilities[0]), list[int]()
    for n_members in range(1, size + 1):
        losses = -((total + probabilities) / n_members).log().mean(1)
        losses[chosen] = torch.inf
        chosen.append(int(losses.argmin()))
        total = total + probabilities[chosen[-1]]
    return chosen


def fit_weights(nats: Tensor) -> tuple[float, ...]:
    """Maximum-likelihood weights of the members.

    Each step sets w_m to the mean over notes of w_m p_m / (sum of w_k p_k).

    Args:
        nats: Of each member on each validation note, shape (M, N).

    Returns:
        M numbers above 0 that sum to 1.

    Source: Dempster, Laird and Rubin (1977); expectation maximisation of mixture weights, whose
        likelihood has one maximum.
    """
    # Only ratios count; the largest of each note is 1, so that no note underflows.
    probabilities = (nats.amin(0) - nats).exp()
    shares = torch.full((len(nats),), 1 / len(nats), dtype=nats.dtype)
    for _ in range(_EM_STEPS):
        joint = shares[:, None] * probabilities
        shares = (joint / joint.sum(0)).mean(1)
    return tuple((shares / shares.sum()).tolist())


def _candidates(
    search: FinishedSearch, winner: Winner, config: RetrainingConfig, size: int
) -> list[TrainedModel]:
    """All retrained models, and as many more as an ensemble of that size needs."""
    n_repeats = {c.trial: len(c.losses) for c in winner.candidates}
    params = {c.trial: c.params for c in winner.candidates}
    best_first = [winner.trial, *winner.ties] + [
        c.trial for c in winner.candidates[1:] if not c.is_tied
    ]
    for i in count():
        missing = size - sum(n_repeats.values())
        if missing <= 0:
            break
        n_repeats[best_first[i % len(best_first)]] += 1
    wanted = [
        Training(trial, repeat, params[trial])
        for trial, repeats in n_repeats.items()
        for repeat in range(1, repeats + 1)
    ]
    trained = list(train_again(search, wanted, config).values())
    if len(trained) < size:
        raise StudyError(
            f"an ensemble of {size} needs {size} trained models, but only {len(trained)} "
            "completed training. Ask for a smaller ensemble."
        )
    return trained


def _note_nats(model: TrainedModel, search: FinishedSearch) -> Tensor:
    """Nats of each validation note, summed over factors, shape (N,)."""
    nats, _ = target_nats(model.networks[0], search.melodies.validation)
    return nats.sum(0)


def _best_member_scores(
    ensemble: TrainedModel, members: Sequence[TrainedModel], search: FinishedSearch
) -> dict[str, object]:
    """Test loss of the member best on validation, and the difference to it."""
    best = min(members, key=lambda member: float(member.card["val_loss"]))
    scored, alone = (model.tune_nats(search.test) for model in (ensemble, best))
    return {
        "best_member": best.card["trial"],
        "best_member_loss": alone.loss,
        "minus_best_member": paired_difference(scored, alone).to_dict(),
    }
