import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from chromasonic.melody_generation.data.batches import LONGEST_ROW
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models import MODELS
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind, check_model
from chromasonic.melody_generation.training import create_training_data
from chromasonic.melody_generation.training import loop as module
from chromasonic.melody_generation.training.loop import (
    TrainingSettings,
    load_best_weights,
    train,
)
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.melody_generation.training.scoring import batches_for, context_length, score
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.objective import Trial

V = 12
CPU = torch.device("cpu")
TRAIN, VALIDATION = create_training_data(24, 10, V, 0.75)
SMALL = {"embedding_dim": 6, "hidden_size": 8, "num_layers": 2, "dropout": 0.3}
SMALL_SONIC = {"embedding_dim": 6, "lstm_units_1": 8, "lstm_units_2": 6, "dropout_rate": 0.3}


def params_of(name):
    return SMALL_SONIC if name == "sonic" else SMALL


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def start(
    build,
    kind=OutputKind.EVERY_POSITION,
    *,
    seed=3,
    checkpoint=None,
    n_micro_batches=1,
    **settings,
):
    settings = TrainingSettings(**{"num_epochs": 4, "batch_size": 6, **settings})
    return train(
        build,
        kind,
        Melodies(TRAIN, VALIDATION, Vocabulary(V)),
        settings,
        device=CPU,
        seed=seed,
        checkpoint=checkpoint,
        n_micro_batches=n_micro_batches,
    )


def model_and_kind(name):
    def build():
        return build_model(MODELS[name], Vocabulary(V), params_of(name))

    return build, OutputKind.LAST_POSITION if name == "sonic" else OutputKind.EVERY_POSITION


def lstm():
    return build_model(MODELS["lstm"], Vocabulary(V), SMALL)


def losses(epochs):
    return [(epoch.loss, epoch.train_loss, dict(epoch.metrics)) for epoch in epochs]


def ending_of(epochs):
    while True:
        try:
            next(epochs)
        except StopIteration as stop:
            return stop.value


# Going on


@pytest.mark.parametrize("transposition", [0, 3])
@pytest.mark.parametrize("name", MODELS)
def test_a_continued_training_equals_the_uninterrupted_one(tmp_path, name, transposition):
    build, kind = model_and_kind(name)
    whole = losses(start(build, kind, transposition=transposition))
    assert len(whole) == 4
    for stop in (1, 2, 3):
        folder = tmp_path / str(stop)
        folder.mkdir()
        first = list(itertools.islice(start(build, kind, transposition=transposition), stop))
        first[-1].save(folder)
        rest = start(build, kind, transposition=transposition, checkpoint=folder)
        assert losses(first) + losses(rest) == whole, f"continued after epoch {stop}"


def test_early_stopping_goes_on_counting(tmp_path):
    build = lstm
    settings = {"learning_rate": 0.5, "num_epochs": 40}
    whole = losses(start(build, **settings))
    assert 6 <= len(whole) < 40
    first = list(itertools.islice(start(build, **settings), len(whole) - 2))
    first[-1].save(tmp_path)
    rest = losses(start(build, checkpoint=tmp_path, **settings))
    assert losses(first) + rest == whole
    assert ending_of(start(build, checkpoint=tmp_path, **settings)) is Ending.STOPPED_EARLY


def test_a_training_that_was_over_is_still_over(tmp_path):
    *_, last = start(lstm)
    last.save(tmp_path)
    assert ending_of(start(lstm, checkpoint=tmp_path)) is Ending.COMPLETED
    assert losses(start(lstm, checkpoint=tmp_path)) == []


# Randomness


def test_the_same_seed_gives_the_same_training_and_another_one_another():
    assert losses(start(lstm, seed=1)) == losses(start(lstm, seed=1))
    assert losses(start(lstm, seed=1)) != losses(start(lstm, seed=2))


def test_the_global_generator_is_neither_used_nor_changed():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = losses(start(lstm))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    epochs, second = start(lstm), []
    for epoch in epochs:
        torch.rand(3)
        second.append(epoch)
    assert losses(second) == first


# Stopping and the best weights


def no_better_after(n_better, monkeypatch):
    """Training whose validation loss falls `n_better` times and then stands still."""
    scores = iter([*(float(10 - n) for n in range(n_better)), *([99.0] * 40)])

    class Score:
        accuracy = 0.0

        def __init__(self):
            self.loss = next(scores)
            self.factors = (self.loss,)

    monkeypatch.setattr(module, "score", lambda model, batches: Score())


@pytest.mark.parametrize("n_better", [1, 2, 7])
def test_five_epochs_without_a_better_loss_are_enough(monkeypatch, n_better):
    no_better_after(n_better, monkeypatch)
    epochs = start(lstm, num_epochs=30)
    assert [epoch.loss for epoch in itertools.islice(epochs, n_better + 5)][-1] == 99.0
    assert ending_of(epochs) is Ending.STOPPED_EARLY


def test_a_training_that_gets_better_to_the_end_is_completed(monkeypatch):
    no_better_after(9, monkeypatch)
    epochs = start(lstm, num_epochs=9)
    assert len(list(itertools.islice(epochs, 9))) == 9
    assert ending_of(epochs) is Ending.COMPLETED


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path):
    epochs = list_with_saves(start(lstm, learning_rate=0.3, num_epochs=9), tmp_path)
    best = min(range(len(epochs)), key=lambda i: epochs[i].loss)
    assert best < len(epochs) - 1, "a last epoch that is the best one would show nothing"
    model = lstm()
    model.load_state_dict(load_best_weights(tmp_path / str(len(epochs) - 1)))
    batches = batches_for(OutputKind.EVERY_POSITION, VALIDATION, model, CPU)
    assert score(model, batches).loss == epochs[best].loss


def list_with_saves(epochs, folder):
    seen = []
    for i, epoch in enumerate(epochs):
        (folder / str(i)).mkdir()
        epoch.save(folder / str(i))
        seen.append(epoch)
    return seen


# What an epoch tells


@pytest.mark.parametrize("name", MODELS)
def test_the_score_is_the_mean_over_notes_one_by_one(name):
    """Reference: each note alone, from the notes before it, without batches or padding."""
    torch.manual_seed(0)
    build, kind = model_and_kind(name)
    model = build().eval()
    tunes = [tune[: 2 + i % 8] for i, tune in enumerate(VALIDATION)]
    nats, right = [], []
    for tune in map(torch.from_numpy, tunes):
        for i in range(1, len(tune)):
            before = tune[:i]
            if kind is OutputKind.LAST_POSITION:
                lacking = max(0, context_length(model) - i)
                before = torch.cat([before[:1].repeat(lacking), before])
            with torch.no_grad():
                logits = model(before[None])
            logits = logits.double()[0] if logits.ndim == 2 else logits.double()[0, -1]
            nats.append(float(logits.logsumexp(0) - logits[tune[i]]))
            right.append(int(logits.argmax()) == int(tune[i]))
    found = score(model, batches_for(kind, tunes, model, CPU))
    assert found.loss == pytest.approx(np.mean(nats), rel=1e-5)
    assert found.accuracy == pytest.approx(np.mean(right), abs=1e-12)


def test_scoring_leaves_the_mode_of_the_model_alone():
    model = lstm()
    batches = batches_for(OutputKind.EVERY_POSITION, VALIDATION, model, CPU)
    for training in (True, False):
        model.train(training)
        first = score(model, batches)
        assert model.training is training
        assert score(model, batches) == first, "there is no dropout"


def test_a_model_that_knows_nothing_has_the_loss_of_guessing():
    class Blank(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(V))

        def forward(self, tokens):
            return self.weight.expand(*tokens.shape, V)

    (first, *_) = start(Blank, learning_rate=1e-30)
    assert first.loss == pytest.approx(math.log(V))
    assert first.train_loss == pytest.approx(math.log(V))


def test_the_train_loss_is_a_mean_over_notes_not_over_batches():
    """Reference: with hardly any learning it is the score of the training tunes."""
    tunes = [tune[: 2 + 2 * (i % 4)] for i, tune in enumerate(TRAIN)]

    def build():
        return build_model(MODELS["lstm"], Vocabulary(V), {**SMALL, "dropout": 0.0})

    settings = TrainingSettings(num_epochs=1, batch_size=5, learning_rate=1e-30)
    arguments = (OutputKind.EVERY_POSITION, Melodies(tunes, tunes, Vocabulary(V)), settings)
    (epoch,) = train(build, *arguments, device=CPU, seed=0)
    assert epoch.train_loss == pytest.approx(epoch.loss, rel=1e-6)


def test_an_epoch_tells_accuracy_learning_rate_and_size():
    epochs = list(start(lstm, learning_rate=0.01))
    n_parameters = sum(parameter.numel() for parameter in lstm().parameters())
    for epoch in epochs:
        assert 0.0 <= epoch.metrics["accuracy"] <= 1.0
        assert epoch.metrics["n_parameters"] == n_parameters
    rates = [epoch.metrics["learning_rate"] for epoch in epochs]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 0.01, "three steps an epoch: the warm-up is one step long"


def test_training_learns_what_can_be_learnt():
    tunes = [np.arange(9)] * 12
    settings = TrainingSettings(num_epochs=12, learning_rate=0.1, batch_size=4)
    arguments = (OutputKind.EVERY_POSITION, Melodies(tunes, tunes, Vocabulary(V)), settings)

    def build():
        return build_model(MODELS["lstm"], Vocabulary(V), {"embedding_dim": 8, "hidden_size": 16})

    *_, last = train(build, *arguments, device=CPU, seed=0)
    assert last.loss < 0.1
    assert last.metrics["accuracy"] == 1.0


# The model's kind


class Seen(nn.Module):
    """Causal: scores the next note by which notes there have been, however often."""

    sequence_length = 2 * LONGEST_ROW

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.head = nn.Linear(V, V)

    def forward(self, tokens):
        return self.head(nn.functional.one_hot(tokens, V).float().cummax(1).values)


def test_every_position_of_a_tune_equals_a_window_of_its_whole_past():
    # Windows repeat a tune's first note in front of it, which this model does not notice.
    model = Seen()
    model.sequence_length = 10
    whole = score(model, batches_for(OutputKind.EVERY_POSITION, VALIDATION, model, CPU))
    kind = OutputKind.EVERY_POSITION_NOT_CAUSAL
    windows = score(model, batches_for(kind, VALIDATION, model, CPU))
    assert windows.loss == pytest.approx(whole.loss, rel=1e-6)
    assert windows.accuracy == whole.accuracy


def test_a_model_that_is_not_causal_is_trained_on_the_last_position_of_windows():
    class LooksAhead(nn.Module):
        sequence_length = 3

        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(V, 8)
            self.head = nn.Linear(8, V)
            self.shapes = set()

        def forward(self, tokens):
            self.shapes.add(tokens.shape[1])
            hidden = self.embedding(tokens)
            return self.head(hidden + hidden.mean(1, keepdim=True))

    kind = check_model(LooksAhead(), V, context=3)
    assert kind is OutputKind.EVERY_POSITION_NOT_CAUSAL
    built = []

    def build():
        built.append(LooksAhead())
        return built[-1]

    epochs = list(start(build, kind, learning_rate=0.05))
    assert built[0].shapes == {3}
    assert epochs[-1].train_loss < epochs[0].train_loss


def test_a_model_may_return_its_state_beside_the_logits():
    class WithState(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = lstm()

        def forward(self, tokens):
            return self.inner(tokens), "state"

    assert losses(start(WithState)) == losses(start(lstm))


# The schedule and the optimizer


@pytest.mark.parametrize("steps", [2, 19, 20, 100, 1000])
def test_the_learning_rate_rises_to_its_highest_and_falls_to_zero(steps):
    rates = [module._learning_rate_at(step, steps) for step in range(steps + 1)]
    warm_up = max(1, round(0.05 * steps))
    assert rates[: warm_up - 1] == [(step + 1) / warm_up for step in range(warm_up - 1)]
    assert max(rates) == rates[warm_up - 1] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(rates[warm_up - 1 :]))
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_half_way_down_the_learning_rate_is_half():
    # Half a cosine from step 5 to step 105 is at 1/2 in the middle, at 3/4 after a third.
    assert module._learning_rate_at(55, 105) == pytest.approx(0.5, abs=0.01)
    assert module._learning_rate_at(5 + 33, 105) == pytest.approx(0.75, abs=0.02)


def test_weight_decay_is_for_matrices_only():
    model = lstm()
    optimizer = module._optimizer(model, TrainingSettings(weight_decay=0.3), CPU)
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(decay) == len(list(model.parameters()))
    for parameter in model.parameters():
        assert decay[id(parameter)] == (0.3 if parameter.ndim > 1 else 0.0)


def test_frozen_weights_stay():
    built = []

    def build():
        model = lstm()
        model.embedding.weight.requires_grad_(False)
        built.append((model, model.embedding.weight.clone(), model.head.weight.clone()))
        return model

    list(start(build))
    ((model, embedding, head),) = built
    assert torch.equal(model.embedding.weight, embedding)
    assert not torch.equal(model.head.weight, head)


def test_gradients_are_clipped(monkeypatch):
    norms = []
    clip = module.clip_grad_norm_

    def watched(parameters, limit):
        parameters = list(parameters)
        total = clip(parameters, limit)
        left = math.sqrt(sum(float(p.grad.pow(2).sum()) for p in parameters))
        norms.append((float(total), left))
        return total

    def build():
        model = lstm()
        with torch.no_grad():
            model.head.weight.mul_(50.0)
        return model

    monkeypatch.setattr(module, "clip_grad_norm_", watched)
    list(start(build))
    assert max(total for total, _ in norms) > 1.0
    assert all(left <= 1.0 + 1e-4 for _, left in norms)


def test_the_names_of_the_settings_are_those_that_steer_the_training():
    assert set(TrainingSettings.names()) == {
        "num_epochs",
        "learning_rate",
        "batch_size",
        "weight_decay",
        "transposition",
    }


# Micro-batches, to save memory


def without_dropout(name):
    dropout = "dropout_rate" if name == "sonic" else "dropout"
    params = {**params_of(name), dropout: 0.0}
    kind = OutputKind.LAST_POSITION if name == "sonic" else OutputKind.EVERY_POSITION
    return (lambda: build_model(MODELS[name], Vocabulary(V), params)), kind


def rows_of_steps(monkeypatch):
    """Numbers of rows of all later forward passes of the training."""
    rows = []
    forward = module.predict

    def counted(model, inputs, targets):
        rows.append(len(inputs))
        return forward(model, inputs, targets)

    monkeypatch.setattr(module, "predict", counted)
    return rows


@pytest.mark.parametrize("transposition", [0, 2])
@pytest.mark.parametrize("name", ["lstm", "transformer", "sonic"])
def test_training_in_pieces_is_the_same_training_up_to_rounding(name, transposition, monkeypatch):
    build, kind = without_dropout(name)
    settings = {"batch_size": 7, "num_epochs": 3, "transposition": transposition}
    rows = rows_of_steps(monkeypatch)
    whole = [(e.loss, e.train_loss) for e in start(build, kind, **settings)]
    rows_of_batches = rows.copy()
    rows.clear()
    parts = [(e.loss, e.train_loss) for e in start(build, kind, n_micro_batches=4, **settings)]
    np.testing.assert_allclose(parts, whole, rtol=1e-4)
    assert sum(rows) == sum(rows_of_batches)
    assert max(rows) == math.ceil(max(rows_of_batches) / 4)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_batch_smaller_than_its_pieces_is_learnt_row_by_row(batch_size, monkeypatch):
    build, kind = without_dropout("lstm")
    whole = [e.train_loss for e in start(build, kind, batch_size=batch_size, num_epochs=2)]
    rows = rows_of_steps(monkeypatch)
    parts = [
        e.train_loss
        for e in start(build, kind, batch_size=batch_size, num_epochs=2, n_micro_batches=4)
    ]
    np.testing.assert_allclose(parts, whole, rtol=1e-4)
    assert set(rows) == {1}
    assert len(rows) == 2 * len(TRAIN)


def test_pieces_of_unequal_numbers_of_notes_weigh_by_their_notes():
    """Tunes of 2 and of 30 notes: a mean of means would give the short one far too much."""
    rng = np.random.default_rng(0)
    tunes = [rng.integers(0, V, n) for n in (2, 30, 2, 30)]
    melodies = Melodies(tunes, tunes, Vocabulary(V))
    build, kind = without_dropout("lstm")
    settings = TrainingSettings(num_epochs=3, batch_size=4, learning_rate=0.1)
    whole, parts = (
        [
            (epoch.loss, epoch.train_loss)
            for epoch in train(
                build,
                kind,
                melodies,
                settings,
                device=CPU,
                seed=1,
                n_micro_batches=n_micro_batches,
            )
        ]
        for n_micro_batches in (1, 4)
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-3)


@pytest.mark.parametrize(("out_of_memory_before", "n_micro_batches"), [(False, 1), (True, 4)])
def test_only_a_trial_that_ran_out_of_memory_learns_in_pieces(
    out_of_memory_before, n_micro_batches, monkeypatch
):
    objective = MelodyObjective(
        MODELS["lstm"],
        OutputKind.EVERY_POSITION,
        Melodies(TRAIN, VALIDATION, Vocabulary(V)),
        2,
        CPU,
    )
    rows = rows_of_steps(monkeypatch)
    params = {**SMALL, "batch_size": len(TRAIN), "learning_rate": 1e-3}
    next(objective(params, Trial(0, 1, out_of_memory_before=out_of_memory_before)))
    assert len(rows) == n_micro_batches
    assert sum(rows) == len(TRAIN)
