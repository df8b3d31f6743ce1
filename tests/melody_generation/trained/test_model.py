import numpy as np
import pytest
import torch

from chromasonic.melody_generation.data.batches import LONGEST_ROW
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models import MODELS
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.model import Network, TrainedModel, mixed_nats
from chromasonic.melody_generation.training.scoring import batches_for, score

PITCH, RHYTHM = Vocabulary(9), Vocabulary(9, (120, 240))


def network(name, vocabulary, seed=0):
    kind = OutputKind.LAST_POSITION if name == "sonic" else OutputKind.EVERY_POSITION
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_model(MODELS[name], vocabulary, {"embedding_dim": 6})
    return Network(module.eval(), kind, f"models.{name}", {"embedding_dim": 6})


def alone(name, vocabulary, seed=0):
    return TrainedModel((network(name, vocabulary, seed),), (1.0,), vocabulary)


def tunes(vocabulary, lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocabulary.size, n) for n in lengths]


@pytest.mark.parametrize("vocabulary", [PITCH, RHYTHM], ids=["pitch", "rhythm"])
@pytest.mark.parametrize("name", ["lstm", "transformer", "sonic"])
def test_what_a_tune_loses_is_what_it_loses_alone(name, vocabulary):
    model = alone(name, vocabulary)
    module, kind = model.networks[0].module, model.networks[0].kind
    given = tunes(vocabulary, [5, 40, 2, 17, LONGEST_ROW + 60, 40])
    found = model.tune_nats(given)
    assert found.notes.tolist() == [len(tune) - 1 for tune in given]
    for tune, nats in zip(given, found.nats, strict=True):
        one = score(module, batches_for(kind, [tune], module, torch.device("cpu")))
        expected = np.array(one.factors) * (len(tune) - 1)
        np.testing.assert_allclose(nats, expected, rtol=1e-5)


@pytest.mark.parametrize("vocabulary", [PITCH, RHYTHM], ids=["pitch", "rhythm"])
def test_an_ensemble_averages_probabilities_whatever_its_members_are(vocabulary):
    """Reference: each member's probability of each note, from its forward pass."""
    names, weights = ("lstm", "sonic", "gru"), (0.5, 0.2, 0.3)
    members = tuple(network(name, vocabulary, i) for i, name in enumerate(names))
    ensemble = TrainedModel(members, weights, vocabulary)
    (tune,) = given = tunes(vocabulary, [8])
    total = 0.0
    for t in range(1, len(tune)):
        note = 0.0
        for member, weight in zip(members, weights, strict=True):
            before = torch.from_numpy(tune[:t])[None]
            if member.kind is OutputKind.LAST_POSITION:
                pad = before[:, :1].expand(-1, 4)
                logits = member.module(torch.cat([pad, before], dim=1)[:, -4:])[0]
            else:
                logits = member.module(before)[0, -1]
            note += weight * logits.softmax(-1)[tune[t]].item()
        total -= np.log(note)
    assert ensemble.tune_nats(given).nats.sum() == pytest.approx(total, rel=1e-5)


def test_an_ensemble_of_long_tunes_goes_note_by_note_with_all_its_members():
    """A row cut in two by one member and windowed by another must not be mixed up."""
    given = tunes(PITCH, [LONGEST_ROW + 30, 3, 2 * LONGEST_ROW])
    members = (network("lstm", PITCH), network("sonic", PITCH))
    mixed = TrainedModel(members, (1 - 1e-12, 1e-12), PITCH).tune_nats(given)
    np.testing.assert_allclose(mixed.nats, alone("lstm", PITCH).tune_nats(given).nats, rtol=1e-6)
    mixed = TrainedModel(members, (1e-12, 1 - 1e-12), PITCH).tune_nats(given)
    np.testing.assert_allclose(mixed.nats, alone("sonic", PITCH).tune_nats(given).nats, rtol=1e-6)


def test_mixed_nats_are_those_of_joint_and_conditional_probabilities():
    """Reference: Bayes by hand, for two networks and two factors."""
    duration, pitch = torch.tensor([0.5, 0.1]), torch.tensor([0.2, 0.9])
    nats = -torch.stack([duration, pitch], dim=1).log()[..., None].double()
    mixed = mixed_nats(nats, (0.25, 0.75))[:, 0].tolist()
    p_duration = 0.25 * 0.5 + 0.75 * 0.1
    p_note = 0.25 * 0.5 * 0.2 + 0.75 * 0.1 * 0.9
    assert mixed == pytest.approx([-np.log(p_duration), -np.log(p_note / p_duration)])
