import pytest
import torch
from torch.nn.functional import cross_entropy

from chromasonic.melody_generation.models import TransformerMelodyModel
from chromasonic.melody_generation.models.transformer import rotate


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_a_logit_depends_on_its_own_note_and_all_before_and_on_none_after():
    model = TransformerMelodyModel(20, hidden_size=48, num_layers=2).eval()
    seen = []
    model.embedding.register_forward_hook(lambda *a: seen.append(a[2]))
    logits = model(torch.randint(20, (1, 9)))
    (gradient,) = torch.autograd.grad(logits[0, 4].square().sum(), seen[0])
    influence = gradient[0].abs().sum(-1)
    assert (influence[:5] > 0).all()
    assert (influence[5:] == 0).all()


@pytest.mark.parametrize("hidden_size", range(1, 71))
def test_every_width_serves(hidden_size):
    model = TransformerMelodyModel(10, embedding_dim=6, hidden_size=hidden_size)
    logits = model(torch.randint(10, (2, 5)))
    logits.square().sum().backward()
    assert logits.shape == (2, 5, 10)
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_a_width_of_128_has_four_heads_of_32_and_no_padding():
    attention = TransformerMelodyModel(10, hidden_size=128).body.blocks[0].attention
    assert (attention.n_heads, attention.head_width) == (4, 32)


def test_rotation_is_a_turn_of_each_pair_by_a_power_of_ten_thousand():
    x = torch.randn(6, 4, dtype=torch.float64)
    pairs = torch.complex(x[:, :2], x[:, 2:])
    angles = torch.arange(6)[:, None] * torch.tensor([1.0, 10_000**-0.5], dtype=torch.float64)
    turned = pairs * torch.exp(1j * angles)
    expected = torch.cat((turned.real, turned.imag), dim=-1)
    torch.testing.assert_close(rotate(x), expected, atol=1e-6, rtol=0)


def test_attention_scores_depend_on_distance_and_not_on_position():
    query, key = torch.randn(2, 1, 16).expand(2, 40, 16)
    scores = rotate(query) @ rotate(key).T  # (40, 40)
    for distance in (-7, 0, 1, 20):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert scores[0].std() > 0.1


def test_the_order_of_earlier_notes_matters():
    model = TransformerMelodyModel(10).eval()
    forth, back = torch.tensor([[1, 2, 3]]), torch.tensor([[2, 1, 3]])
    assert (model(forth)[:, -1] - model(back)[:, -1]).abs().max() > 1e-3


def test_tunes_may_be_longer_than_any_seen_before():
    model = TransformerMelodyModel(10)
    assert model(torch.zeros(1, 2, dtype=torch.long)).shape == (1, 2, 10)
    assert model(torch.zeros(1, 700, dtype=torch.long)).isfinite().all()


def test_a_saved_state_holds_weights_and_no_positions():
    model = TransformerMelodyModel(10)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_kept(dtype):
    model = TransformerMelodyModel(10).to(dtype)
    assert model(torch.randint(10, (2, 5))).dtype == dtype


def test_dropout_acts_in_training_only():
    model = TransformerMelodyModel(10, dropout=0.5)
    tokens = torch.randint(10, (1, 6))
    assert not torch.equal(model.train()(tokens), model(tokens))
    assert torch.equal(model.eval()(tokens), model(tokens))


def test_a_repeated_melody_is_soon_known_by_heart():
    melody = torch.tensor([[0, 2, 4, 2, 5, 4, 2, 0, 7, 7, 5, 0] * 3])
    model = TransformerMelodyModel(8, embedding_dim=16, hidden_size=32, num_layers=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(100):
        loss = cross_entropy(model(melody[:, :-1])[0], melody[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
