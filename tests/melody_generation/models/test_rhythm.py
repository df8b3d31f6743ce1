import itertools

import pytest
import torch
from torch import nn

from chromasonic.errors import ModelError
from chromasonic.melody_generation.data.batches import IGNORED
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models import MODELS, LSTMMelodyModel
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind, check_model
from chromasonic.melody_generation.training.scoring import predict

VOCABULARY = Vocabulary(7, (120, 240, 480))
P, V = VOCABULARY.n_pitches, VOCABULARY.size


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def made(name, vocabulary=VOCABULARY):
    model = build_model(MODELS[name], vocabulary, {"embedding_dim": 6})
    for parameter in model.parameters():
        # Small enough for a recurrent network not to be chaotic.
        nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_rhythm_passes_the_checks_of_any_model(name):
    kind = OutputKind.LAST_POSITION if name == "sonic" else OutputKind.EVERY_POSITION
    assert check_model(made(name), V, context=8) is kind


@pytest.mark.parametrize("name", MODELS)
def test_the_probabilities_of_all_notes_sum_to_one(name):
    probabilities = made(name)(torch.randint(V, (3, 5))).exp().sum(-1)
    torch.testing.assert_close(probabilities, torch.ones_like(probabilities))


@pytest.mark.parametrize("name", MODELS)
def test_the_nats_of_both_factors_sum_to_those_of_the_note(name):
    model, inputs = made(name), torch.randint(V, (4, 6))
    targets = torch.randint(V, (4,) if name == "sonic" else (4, 6))
    targets.view(-1)[1] = IGNORED
    nats, right = predict(model, inputs, targets)
    flat = targets.flatten()
    log_probabilities = model(inputs).flatten(0, -2)
    for i, token in enumerate(flat.tolist()):
        if token == IGNORED:
            assert nats[:, i].tolist() == [0.0, 0.0]
            assert not right[i]
            continue
        joint = log_probabilities[i].view(-1, P)
        duration, pitch = divmod(token, P)
        assert nats[0, i].item() == pytest.approx(-joint[duration].logsumexp(0).item(), abs=1e-5)
        assert nats.sum(0)[i].item() == pytest.approx(-joint[duration, pitch].item(), abs=1e-5)
        assert right[i] == (joint[duration].argmax() == pitch)


@pytest.mark.parametrize("vocabulary", [VOCABULARY, Vocabulary(V)])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "transformer"])
def test_a_melody_read_in_parts_is_read_as_a_whole(name, vocabulary):
    model, tokens = made(name, vocabulary), torch.randint(V, (2, 9))

    def read(part, state=None):
        return model.read(part if vocabulary.durations else model.embedding(part), state)

    whole, _ = read(tokens)
    for first, second in itertools.combinations(range(1, 9), 2):
        state, parts = None, []
        for part in (tokens[:, :first], tokens[:, first:second], tokens[:, second:]):
            hidden, state = read(part, state)
            parts.append(hidden)
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


def test_where_in_the_bar_a_note_begins_is_known():
    """A shift of a bar leaves the hidden values alike, a shift of half a beat does not."""
    model = made("lstm", Vocabulary(2, (120, 7680)))
    clock = [
        model._clock(torch.tensor([[elapsed]])) for elapsed in (480, 480 + 11520 * 2, 480 + 120)
    ]
    torch.testing.assert_close(clock[0], clock[1], atol=1e-4, rtol=0)
    assert (clock[0] - clock[2]).abs().max() > 0.1


def test_every_parameter_learns():
    model = made("lstm").train()
    nats, _ = predict(model, torch.randint(V, (4, 6)), torch.randint(V, (4, 6)))
    nats.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_class_of_ones_own_is_refused_with_rhythm():
    class Own(nn.Module):
        def __init__(self, vocab_size):
            super().__init__()

    class Changed(LSTMMelodyModel):
        def forward(self, tokens):
            return super().forward(tokens) * 2

    for model_class in (Own, Changed):
        with pytest.raises(ModelError, match=r"need one of the built-in models.*tokens='pitch'"):
            build_model(model_class, VOCABULARY, {})
        assert isinstance(build_model(model_class, Vocabulary(P), {}), model_class)
