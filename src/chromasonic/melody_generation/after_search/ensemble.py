"""Several of a search's best models as one: their probabilities averaged.

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
from chromasonic.melody_generation.after_search.final_model import already_there, score_on_test
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import Training, Workplace, train_again
from chromasonic.melody_generation.after_search.winner import Winner
from chromasonic.melody_generation.trained.card import CARD_FILE, model_card
from chromasonic.melody_generation.trained.evaluation import paired_difference
from chromasonic.melody_generation.trained.files import save_model
from chromasonic.melody_generation.trained.model import TrainedModel, target_nats

SIZE = 5
_EM_STEPS = 200


def combine(
    search: FinishedSearch,
    winner: Winner,
    workplace: Workplace,
    folder: Path,
    *,
    size: int = SIZE,
) -> TrainedModel:
    """An ensemble of the best configurations and seeds, weighted on validation, tested once.

    Candidates are the further trainings of the configurations that were compared for the winner,
    and more of them if there are too few. All have learnt from the training melodies alone, so
    that the validation melodies can choose and weigh them. A folder that already holds just this
    ensemble is only read: the test melodies are scored once.

    Args:
        search: Whose melodies and model class they are.
        winner: The configurations, best first.
        workplace: Where trainings run; what was trained before counts.
        folder: Where the ensemble goes.
        size: How many members, at least 2.

    Raises:
        KeyboardInterrupt: It was broken off; the same call goes on.
        StudyError: Too few trainings ran to their end.
        ValueError: `size` is below 2.
    """
    if size < 2:
        raise ValueError(f"an ensemble must have at least 2 members, but got {size}.")
    candidates = _candidates(search, winner, workplace, size)
    nats = torch.stack([_note_nats(model, search) for model in candidates])  # (candidates, N)
    chosen = choose_members(nats, size)
    weights = fit_weights(nats[chosen])
    members = [candidates[i] for i in chosen]
    key = sha256("".join(m.card["key"] for m in members).encode()).hexdigest()[:12]
    if (kept := already_there(folder, key, search)) is not None:
        return kept
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
            **_beside_the_best_member(ensemble, members, search),
        },
    }
    ensemble = replace(ensemble, card=card)
    save_model(ensemble, folder, {CARD_FILE: model_card(ensemble)})
    return ensemble


def choose_members(nats: Tensor, size: int) -> list[int]:
    """Those models whose equally weighted mean predicts best, chosen one after the other.

    Args:
        nats: Of each candidate on each validation note, shape (candidates, N).
        size: How many to choose, each at most once.

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
    """Shares of the members under which the notes are most probable.

    Args:
        nats: Of each member on each validation note, shape (M, N).

    Returns:
        M numbers above 0 that sum to 1.

    Source: Dempster, Laird and Rubin (1977); expectation maximisation of mixture weights, whose
        likelihood has one maximum.
    """
    # Only ratios count, and the largest of each note being 1 nothing vanishes.
    probabilities = (nats.amin(0) - nats).exp()
    shares = torch.full((len(nats),), 1 / len(nats), dtype=nats.dtype)
    for _ in range(_EM_STEPS):
        joint = shares[:, None] * probabilities
        shares = (joint / joint.sum(0)).mean(1)
    return tuple((shares / shares.sum()).tolist())


def _candidates(
    search: FinishedSearch, winner: Winner, workplace: Workplace, size: int
) -> list[TrainedModel]:
    """All further trainings there are, and as many more as an ensemble of that size needs."""
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
    trained = list(train_again(search, wanted, workplace).values())
    if len(trained) < size:
        raise StudyError(
            f"{size} members must train to their end, but only {len(trained)} did. "
            "Ask for a smaller ensemble."
        )
    return trained


def _note_nats(model: TrainedModel, search: FinishedSearch) -> Tensor:
    """Nats of each validation note, all factors together, shape (N,)."""
    nats, _ = target_nats(model.networks[0], search.melodies.validation)
    return nats.sum(0)


def _beside_the_best_member(
    ensemble: TrainedModel, members: Sequence[TrainedModel], search: FinishedSearch
) -> dict[str, object]:
    """The gain over the member that is best on validation, with its interval."""
    best = min(members, key=lambda member: float(member.card["val_loss"]))
    scored, alone = (model.tune_nats(search.test) for model in (ensemble, best))
    return {
        "best_member": best.card["trial"],
        "best_member_loss": alone.loss,
        "minus_best_member": paired_difference(scored, alone).to_dict(),
    }
