import copy

import pytest
import torch
from torch import nn

from chromasonic.errors import ModelError
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models import MODELS
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import (
    OutputKind,
    check_length,
    check_model,
    logits_of,
)

V = 12


class Plain(nn.Module):
    """Embedding, LSTM and head; the bad models below change one thing each."""

    layer_options: dict[str, bool] = {"batch_first": True}  # noqa: RUF012

    def __init__(self, vocab_size=V, width=8):
        super().__init__()
        sides = 2 if self.layer_options.get("bidirectional") else 1
        self.embedding = nn.Embedding(vocab_size, width)
        self.body = nn.LSTM(width, width, **self.layer_options)
        self.head = nn.Linear(sides * width, vocab_size)

    def logits(self, tokens):
        return self.head(self.body(self.embedding(tokens))[0])

    def forward(self, tokens):
        return self.logits(tokens)


def changed(function, **attributes):
    """A fresh `Plain` whose output goes through a function of (model, logits)."""

    def forward(self, tokens):
        return function(self, self.logits(tokens))

    return type("MyModel", (Plain,), {"forward": forward, **attributes})()


def same(_, logits):
    return logits


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lstm", OutputKind.EVERY_POSITION),
        ("gru", OutputKind.EVERY_POSITION),
        ("rnn", OutputKind.EVERY_POSITION),
        ("transformer", OutputKind.EVERY_POSITION),
        ("sonic", OutputKind.LAST_POSITION),
    ],
)
@pytest.mark.parametrize("context", [2, 3, 16, V])
def test_built_in_models_pass(name, kind, context):
    assert check_model(build_model(MODELS[name], Vocabulary(V), {}), V, context=context) is kind


def test_a_model_that_looks_ahead_is_found_out():
    both_ways = {"batch_first": True, "bidirectional": True}
    model = changed(same, layer_options=both_ways)
    assert check_model(model, V, context=16) is OutputKind.EVERY_POSITION_NOT_CAUSAL


def test_a_head_that_starts_at_zero_hides_no_look_ahead():
    model = changed(same, layer_options={"batch_first": True, "bidirectional": True})
    nn.init.zeros_(model.head.weight)
    assert check_model(model, V, context=16) is OutputKind.EVERY_POSITION_NOT_CAUSAL


def test_one_note_of_look_ahead_at_the_end_is_enough():
    def peek(_, logits):
        return torch.cat((logits[:, :-2], logits[:, -1:], logits[:, -1:]), dim=1)

    assert check_model(changed(peek), V, context=16) is OutputKind.EVERY_POSITION_NOT_CAUSAL


def test_the_last_position_alone_is_enough():
    model = changed(lambda _, logits: logits[:, -1])
    assert check_model(model, V, context=16) is OutputKind.LAST_POSITION


def test_logits_may_come_with_a_state():
    model = changed(lambda _, logits: (logits, None))
    assert check_model(model, V, context=16) is OutputKind.EVERY_POSITION


def test_logits_are_taken_out_of_an_output_with_a_state():
    logits = torch.ones(1, 2, 3)
    assert logits_of(logits) is logits
    assert logits_of((logits, "state")) is logits


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda _, x: x[..., :5],
            r"MyModel.forward must return logits of shape \(batch, time, 12\) or "
            r"\(batch, 12\), but returned \(3, 16, 5\) for tokens of shape \(3, 16\)",
        ),
        (lambda _, x: x.transpose(1, 2), r"but returned \(3, 12, 16\)"),
        (lambda _, x: x.transpose(0, 1), r"but returned \(16, 3, 12\)"),
        (lambda _, x: x.argmax(-1), r"but returned \(3, 16\)"),
        (lambda _, x: x.round().long(), "must return floating-point logits, but .* torch.int64"),
        (lambda _, x: x / 0, "must return finite logits, but returned nan or inf"),
        (lambda _, x: x.softmax(-1), "must return logits, but returned probabilities"),
        (lambda _, x: x.detach(), "returned logits without a gradient"),
        (lambda _, x: x * 0, "got a gradient of 0 for every parameter"),
        (lambda _, x: (x - x.detach()).sqrt(), "must have finite gradients"),
        (lambda _, x: x.sigmoid().mul_(2).exp().zero_() * x, "allow a backward pass"),
        (lambda _, x: {"logits": x}, r"must return logits or \(logits, state\), .* dict"),
        (lambda _, x: (), "returned tuple"),
        (lambda _, x: x - x.mean(0, keepdim=True), "treat each row of a batch on its own"),
        (lambda _, x: x + torch.randn(()), "return the same logits for the same tokens"),
        (lambda m, x: x if m.training else x[:, -1], "one shape in training and in evaluation"),
        (
            lambda _, x: x + torch.zeros(16, 1),
            r"accept int64 tokens of shape \(batch, time\), but raised RuntimeError: .* "
            r"for shape \(3, 15\)",
        ),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused_with_what_was_seen(function, message):
    with pytest.raises(ModelError, match=message):
        check_model(changed(function), V, context=16)


def test_axes_in_the_wrong_order_are_seen_even_where_both_have_one_length():
    with pytest.raises(ModelError, match=r"returned \(3, 12, 11\)"):
        check_model(changed(lambda _, x: x.transpose(1, 2)), V, context=V)


def test_a_forgotten_batch_first_is_seen_as_rows_that_mix():
    with pytest.raises(ModelError, match="batch_first=True"):
        check_model(changed(same, layer_options={}), V, context=16)


def test_a_model_without_parameters_is_refused():
    class Nothing(nn.Module):
        def forward(self, tokens):
            return torch.zeros(*tokens.shape, V)

    with pytest.raises(ModelError, match=r"Nothing\.forward must have parameters to train"):
        check_model(Nothing(), V, context=16)


def test_a_frozen_model_is_refused():
    with pytest.raises(ModelError, match="has none that require a gradient"):
        check_model(Plain().requires_grad_(False), V, context=16)


def test_sparse_gradients_are_fine():
    model = Plain()
    model.embedding.sparse = True
    assert check_model(model, V, context=16) is OutputKind.EVERY_POSITION


def test_batch_norm_is_fine_since_rows_are_apart_in_evaluation():
    class Normed(Plain):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(V)

        def forward(self, tokens):
            return self.norm(self.logits(tokens).transpose(1, 2)).transpose(1, 2)

    assert check_model(Normed(), V, context=16) is OutputKind.EVERY_POSITION


def test_the_model_and_the_global_random_state_stay_as_they_are():
    model = build_model(MODELS["lstm"], Vocabulary(V), {"dropout": 0.5})
    weights, random_state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        check_model(model, V, context=16)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(weights[name], now) for name, now in model.state_dict().items())


def test_the_probe_can_be_drawn_by_a_generator_of_the_caller():
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    assert check_model(Plain(), V, context=16, generator=generator) is OutputKind.EVERY_POSITION
    assert not torch.equal(generator.get_state(), before)


def test_a_context_too_short_to_show_causality_is_refused():
    with pytest.raises(ValueError, match="context must be at least 2, but got 1"):
        check_model(Plain(), V, context=1)


def test_a_model_is_built_from_its_parameters():
    model = build_model(MODELS["gru"], Vocabulary(V), {"hidden_size": 5, "num_layers": 2})
    assert (model.body.hidden_size, model.body.num_layers) == (5, 2)
    assert model.head.out_features == V


def test_a_constructor_may_take_any_argument():
    class Open(Plain):
        def __init__(self, vocab_size, **others):
            super().__init__(vocab_size)
            self.others = others

    assert build_model(Open, Vocabulary(V), {"depth": 2}).others == {"depth": 2}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hiden_size": 5}, "but got hiden_size. Did you mean hidden_size?"),
        ({"zzz": 5}, r"LSTMMelodyModel.__init__ takes \(vocab_size, .*but got zzz. Add it there"),
        (
            {"hidden_size": 0},
            r"Model\(vocab_size=12, hidden_size=0\).* raised ValueError",
        ),
    ],
)
def test_arguments_that_a_constructor_cannot_use_are_named(params, message):
    with pytest.raises(ModelError, match=message):
        build_model(MODELS["lstm"], Vocabulary(V), params)


def test_a_constructor_without_vocab_size_is_refused():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()

    with pytest.raises(ModelError, match=r"Fixed\.__init__ takes .*but got vocab_size"):
        build_model(Fixed, Vocabulary(V), {})


def test_an_argument_without_default_must_be_given():
    class Wide(Plain):
        def __init__(self, vocab_size, depth):
            super().__init__(vocab_size)

    with pytest.raises(ModelError, match="without a default must be given, but depth is not"):
        build_model(Wide, Vocabulary(V), {})


def test_what_is_built_must_be_a_torch_module():
    class NoModule:
        def __init__(self, vocab_size):
            pass

    with pytest.raises(ModelError, match=r"NoModule must build a torch.nn.Module, but built NoM"):
        build_model(NoModule, Vocabulary(V), {})


def test_running_out_of_memory_is_no_fault_of_the_model():
    class Huge(Plain):
        def __init__(self, vocab_size):
            raise MemoryError

    with pytest.raises(MemoryError):
        build_model(Huge, Vocabulary(V), {})


class PositionTableModel(nn.Module):
    def __init__(self, n_positions):
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.positions = nn.Embedding(n_positions, 8)
        self.head = nn.Linear(8, 12)

    def forward(self, tokens):
        places = self.positions(torch.arange(tokens.shape[1]))
        return self.head(self.embedding(tokens) + places)


def test_a_model_with_too_few_positions_for_the_longest_melody_is_refused():
    model = PositionTableModel(n_positions=16)
    assert check_model(model, 12, context=16) is OutputKind.EVERY_POSITION
    check_length(model, 12, 16)
    with pytest.raises(ModelError, match=r"\(1, 17\).*allow any length"):
        check_length(model, 12, 17)
