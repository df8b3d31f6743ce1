import itertools

import numpy as np
import pytest
import torch
from torch import nn

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.listening.generation import Melody, generate, sample_tokens
from chromasonic.melody_generation.listening.keys import Key, key_correlations
from chromasonic.melody_generation.models import MODELS
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.model import Network, TrainedModel

PITCH, RHYTHM = Vocabulary(), Vocabulary(88, (120, 240, 480))
TINY_PITCH, TINY_RHYTHM = Vocabulary(4), Vocabulary(3, (120, 240))


def network(name, vocabulary, seed=0, std=0.3):
    kind = OutputKind.LAST_POSITION if name == "sonic" else OutputKind.EVERY_POSITION
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_model(MODELS[name], vocabulary, {"embedding_dim": 6})
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=std)
    return Network(module.eval(), kind, name, {})


def model(vocabulary, *names, weights=None):
    networks = tuple(network(name, vocabulary, i) for i, name in enumerate(names or ("lstm",)))
    shares = weights or (1 / len(networks),) * len(networks)
    return TrainedModel(networks, shares, vocabulary, {39: 3, 41: 1})


def probabilities(trained, tokens):
    """Reference: of every next note, by each network's forward pass over all notes so far."""
    total = torch.zeros(trained.vocabulary.size)
    for member, weight in zip(trained.networks, trained.weights, strict=True):
        row = tokens[None]
        if member.kind is OutputKind.LAST_POSITION:
            row = torch.cat([row[:, :1].expand(-1, 4), row], dim=1)[:, -4:]
        logits = member.module(row)[0]
        total += weight * (logits if logits.ndim == 1 else logits[-1]).softmax(-1)
    return total


@pytest.mark.parametrize(
    ("vocabulary", "names"),
    [
        (TINY_PITCH, ("lstm",)),
        (TINY_PITCH, ("sonic",)),
        (TINY_PITCH, ("lstm", "sonic", "transformer")),
        (TINY_RHYTHM, ("gru",)),
        (TINY_RHYTHM, ("sonic",)),
        (TINY_RHYTHM, ("rnn", "transformer", "sonic")),
    ],
    ids=str,
)
def test_notes_come_as_often_as_the_model_says(vocabulary, names):
    """A chi-square test on the note after three given ones."""
    trained = model(vocabulary, *names)
    start = torch.tensor([1, 0, 2])
    count = 6_000
    with torch.no_grad():
        expected = count * probabilities(trained, start).numpy()
    drawn = sample_tokens(trained, start.expand(count, -1), 4, torch.Generator().manual_seed(0))[
        :, -1
    ]
    seen = np.bincount(drawn.numpy(), minlength=vocabulary.size)
    statistic = ((seen - expected) ** 2 / expected).sum()
    # Six standard deviations above the mean of a chi-square with so many degrees of freedom.
    degrees = vocabulary.size - 1
    assert statistic < degrees + 6 * np.sqrt(2 * degrees)


@pytest.mark.parametrize("vocabulary", [TINY_PITCH, TINY_RHYTHM], ids=["pitch", "rhythm"])
@pytest.mark.parametrize("name", MODELS)
def test_reading_on_gives_what_reading_anew_gives(name, vocabulary):
    """Greedy by temperature: each note is the most probable one after all before it."""
    trained = model(vocabulary, name)
    start = torch.tensor([[1], [2]])
    tokens = sample_tokens(trained, start, 12, torch.Generator().manual_seed(0), temperature=1e-6)
    with torch.no_grad():
        for row, t in itertools.product(tokens, range(1, 12)):
            joint = probabilities(trained, row[:t]).view(-1, vocabulary.n_pitches)
            duration = joint.sum(1).argmax()
            assert row[t] == duration * vocabulary.n_pitches + joint[duration].argmax()


def test_the_most_probable_notes_alone_are_drawn():
    trained = model(TINY_PITCH)
    start = torch.tensor([1, 0, 2])
    with torch.no_grad():
        expected = probabilities(trained, start)
    ordered = expected.sort(descending=True).values
    top_p = float(ordered[0] + ordered[1] / 2)
    drawn = sample_tokens(
        trained, start.expand(4000, -1), 4, torch.Generator().manual_seed(0), top_p=top_p
    )[:, -1]
    kept = set(expected.argsort(descending=True)[:2].tolist())
    assert set(drawn.tolist()) == kept
    share = (drawn == expected.argmax()).float().mean().item()
    assert share == pytest.approx(float(ordered[0] / ordered[:2].sum()), abs=0.04)


def test_a_higher_temperature_dares_more():
    trained = model(PITCH)
    start = torch.full((500, 1), 40)

    def kinds(temperature):
        generator = torch.Generator().manual_seed(0)
        tokens = sample_tokens(trained, start, 6, generator, temperature=temperature)
        return len(set(tokens[:, -1].tolist()))

    assert kinds(0.1) < kinds(1.0) < kinds(3.0)


@pytest.mark.parametrize("vocabulary", [PITCH, RHYTHM], ids=["pitch", "rhythm"])
def test_melodies_have_the_length_and_the_notes_there_are(vocabulary):
    melodies = generate(model(vocabulary, "lstm", "sonic"), 3, length=20)
    assert len(melodies) == 3
    for melody in melodies:
        assert len(melody.pitches) == len(melody.durations) == 20
        assert 21 <= melody.pitches.min() <= melody.pitches.max() <= 108
        assert set(melody.durations.tolist()) <= set(vocabulary.durations or (240,))
    assert {melody.pitches[0] for melody in melodies} <= {60, 62}


def test_the_same_seed_gives_the_same_melodies():
    trained = model(RHYTHM)
    rows = [
        [melody.pitches.tolist() for melody in generate(trained, 4, length=30, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert rows[0] == rows[1] != rows[2]


def test_global_randomness_is_neither_used_nor_changed():
    trained = model(RHYTHM)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = generate(trained, 2, length=10)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    other = generate(trained, 2, length=10)
    assert [m.pitches.tolist() for m in one] == [m.pitches.tolist() for m in other]


def test_a_seed_tune_is_continued():
    tune = Melody(np.arange(60, 80), np.full(20, 240))
    melodies = generate(model(RHYTHM), 3, length=15, seed_tune=tune, seed_notes=6)
    for melody in melodies:
        assert melody.pitches[:6].tolist() == list(range(60, 66))
        assert melody.durations[:6].tolist() == [240] * 6
    assert len({tuple(melody.pitches[6:].tolist()) for melody in melodies}) == 3


def test_melodies_in_a_key_fit_it_better_than_others():
    trained = model(RHYTHM)

    def fit(melodies, key):
        found = [key_correlations(m.pitches, m.durations) for m in melodies]
        other = "minor" if key.mode == "major" else "major"
        return np.mean([f[key.mode][key.tonic] - f[other].max() for f in found])

    for name in ("D", "Em"):
        wanted = generate(trained, 8, length=60, key=name)
        assert len(wanted) == 8
        assert fit(wanted, Key.parse(name)) > fit(generate(trained, 8, length=60), Key.parse(name))


def test_a_model_of_ones_own_is_read_anew_for_each_note():
    class Own(nn.Module):
        """Predicts the note above the last one; records the lengths of its inputs."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(50.0))

        def forward(self, tokens):
            return self.scale * nn.functional.one_hot((tokens + 1) % 88, 88).float()

    for kind in OutputKind:
        own = TrainedModel((Network(Own(), kind, "own", {}),), (1.0,), PITCH, {39: 1})
        (melody,) = generate(own, 1, length=10)
        assert melody.pitches.tolist() == list(range(60, 70))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"length": 1}, "length must be at least 2"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"top_p": 0.0}, r"top_p in \(0, 1\]"),
        ({"top_p": 1.1}, r"top_p in \(0, 1\]"),
        ({"seed_notes": 0}, "seed_notes must be at least 1"),
    ],
)
def test_a_number_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(model(PITCH), **{"length": 5, **arguments})


def test_a_model_that_knows_no_beginning_says_so():
    trained = TrainedModel((network("lstm", PITCH),), (1.0,), PITCH)
    with pytest.raises(DataError, match="does not store how melodies begin"):
        generate(trained, 1, length=5)
