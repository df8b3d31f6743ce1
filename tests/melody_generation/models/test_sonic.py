import pytest
import torch
from torch.nn.functional import cross_entropy

from chromasonic.melody_generation.models import SonicLSTM


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_logits_come_for_the_last_note_only():
    assert SonicLSTM(88)(torch.randint(88, (3, 4))).shape == (3, 88)


def test_two_lstms_of_their_own_widths_are_stacked():
    first, second = SonicLSTM(88, lstm_units_1=12, lstm_units_2=7, embedding_dim=5).body
    assert (first.input_size, first.hidden_size) == (5, 12)
    assert (second.input_size, second.hidden_size) == (12, 7)


def test_only_the_last_notes_are_read():
    model = SonicLSTM(20, sequence_length=4).eval()
    long = torch.randint(20, (2, 9))
    assert model.sequence_length == 4
    assert torch.equal(model(long), model(long[:, -4:]))
    for position in range(5, 9):
        changed = long.clone()
        changed[:, position] = (changed[:, position] + 1) % 20
        assert not torch.allclose(model(changed), model(long))


def test_fewer_notes_than_the_context_are_enough():
    assert SonicLSTM(20, sequence_length=8)(torch.randint(20, (2, 1))).isfinite().all()


def test_dropout_acts_in_training_only():
    model = SonicLSTM(20, dropout_rate=0.5)
    tokens = torch.randint(20, (1, 4))
    assert not torch.equal(model.train()(tokens), model(tokens))
    assert torch.equal(model.eval()(tokens), model(tokens))


def test_a_context_of_no_notes_is_refused():
    with pytest.raises(ValueError, match="sequence_length must be at least 1, but got 0"):
        SonicLSTM(88, sequence_length=0)


def test_a_repeated_melody_is_soon_known_by_heart():
    melody = torch.tensor([0, 2, 4, 2, 5, 4, 2, 0, 7, 7, 5, 0] * 3)
    windows = melody.unfold(0, 5, 1)  # (n, 5): four notes of context and the one to predict
    model = SonicLSTM(8, lstm_units_1=32, lstm_units_2=24, dropout_rate=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        loss = cross_entropy(model(windows[:, :-1]), windows[:, -1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
