import warnings

import pytest
import torch
from torch.nn.functional import cross_entropy

from chromasonic.melody_generation.models import (
    MODELS,
    GRUMelodyModel,
    LSTMMelodyModel,
    RNNMelodyModel,
)

CLASSES = [RNNMelodyModel, GRUMelodyModel, LSTMMelodyModel]


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def gradient_of_one_position(model, tokens, position):
    """Gradient norm of the logits at one position by embedded token, shape (T,)."""
    seen = []
    hook = model.embedding.register_forward_hook(lambda *a: seen.append(a[2]) or a[2])
    logits = model.eval()(tokens)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, position].square().sum(), seen[0])
    return gradient[0].abs().sum(-1)


@pytest.mark.parametrize("model_class", CLASSES)
def test_logits_come_for_every_note(model_class):
    model = model_class(88, embedding_dim=5, hidden_size=7, num_layers=2, dropout=0.3)
    assert model(torch.randint(88, (2, 11))).shape == (2, 11, 88)


@pytest.mark.parametrize("model_class", CLASSES)
def test_a_logit_depends_on_its_own_note_and_all_before_and_on_none_after(model_class):
    model = model_class(20, num_layers=2)
    influence = gradient_of_one_position(model, torch.randint(20, (1, 9)), position=4)
    assert (influence[:5] > 0).all()
    assert (influence[5:] == 0).all()


@pytest.mark.parametrize("model_class", CLASSES)
def test_dropout_in_a_single_layer_raises_no_warning_and_still_drops(model_class):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = model_class(20, num_layers=1, dropout=0.5)
    tokens = torch.randint(20, (1, 6))
    assert not torch.equal(model.train()(tokens), model(tokens))
    assert torch.equal(model.eval()(tokens), model(tokens))


@pytest.mark.parametrize("model_class", CLASSES)
def test_each_gate_starts_with_orthogonal_recurrent_weights(model_class):
    model = model_class(20, hidden_size=16, num_layers=2)
    for gate in model.body.weight_hh_l1.detach().split(16):
        torch.testing.assert_close(gate @ gate.T, torch.eye(16))


def test_only_the_forget_gate_of_an_lstm_starts_open():
    body = LSTMMelodyModel(20, hidden_size=3).body
    biases = (body.bias_ih_l0 + body.bias_hh_l0).detach().view(4, 3)
    assert biases[1].tolist() == [1.0, 1.0, 1.0]
    assert not biases[[0, 2, 3]].any()


@pytest.mark.parametrize("model_class", CLASSES)
def test_a_repeated_melody_is_soon_known_by_heart(model_class):
    melody = torch.tensor([[0, 2, 4, 2, 5, 4, 2, 0, 7, 7, 5, 0] * 3])
    model = model_class(8, embedding_dim=16, hidden_size=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        loss = cross_entropy(model(melody[:, :-1])[0], melody[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_every_model_has_a_name_for_the_command_line():
    assert list(MODELS) == ["lstm", "gru", "rnn", "transformer", "sonic"]
    for model_class in MODELS.values():
        model = model_class(vocab_size=9)
        assert [name for name, _ in model.named_children()][:3] == ["embedding", "body", "head"]
