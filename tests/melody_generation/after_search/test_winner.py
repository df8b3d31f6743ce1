import numpy as np
import pytest
from torch import nn

from chromasonic.errors import StudyError
from chromasonic.melody_generation.after_search import winner as module
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import RetrainingConfig
from chromasonic.melody_generation.after_search.winner import find_winner, write_winner
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.evaluation import TuneNats
from chromasonic.reporting.result_files import write_result_files
from chromasonic.reporting.text import read_winner, report, winner_lines
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.records import SearchResult, TrialRecord

N_TUNES = 200
SPREAD_OVER_SEEDS = 0.007
"""Typical standard deviation of one configuration's loss over seeds."""


def record(number, value):
    curve = (EpochRow(3, value),)
    return TrialRecord(number, "COMPLETE", "completed", "", {"x": number}, curve, best_epoch=3)


def search(values):
    trials = tuple(record(number, value) for number, value in enumerate(values))
    melodies = Melodies([], [], Vocabulary())
    result = SearchResult(trials, 1.0, {"study_name": "s", "seed": 1}, "now")
    return FinishedSearch(result, nn.Module, OutputKind.EVERY_POSITION, melodies, [], 5)


class Trained:
    """A model with its configuration's loss plus noise over seeds and tunes."""

    def __init__(self, loss, notes, nats):
        self._scored = TuneNats(nats, notes, ("pitch",))
        self.card = {"val_loss": self._scored.loss, "best_epoch": 3 + round(10 * loss) % 3}

    def tune_nats(self, tunes):
        return self._scored


@pytest.fixture
def trainings(monkeypatch):
    """Replaces training by draws around true losses; records the trainings."""
    world = {"truth": {}, "done": [], "seed": 0, "fails": set()}

    def train_again(search, chosen, config):
        models = {}
        for training in chosen:
            world["done"].append((training.trial, training.repeat))
            if training.trial in world["fails"]:
                continue
            loss = world["truth"][training.trial]
            tunes = np.random.default_rng([world["seed"], 1])
            notes = tunes.integers(50, 150, N_TUNES)
            of_tune = tunes.normal(0, 0.27, N_TUNES)
            own = np.random.default_rng([world["seed"], training.trial, training.repeat])
            shift = own.normal(0, SPREAD_OVER_SEEDS)
            per_note = loss + of_tune + shift + own.normal(0, 0.03, N_TUNES)
            models[training] = Trained(loss, notes, (per_note * notes)[:, None])
        return models

    monkeypatch.setattr(module, "train_again", train_again)
    return world


def found(world, values, truth, seed=0, tmp="unused", **options):
    world.update(truth=truth, seed=seed, done=[])
    return find_winner(search(values), RetrainingConfig(tmp), **options)


def test_a_lucky_best_is_found_out(trainings):
    """The true loss of the second trial is lower by ten standard deviations."""
    for seed in range(20):
        winner = found(trainings, [1.60, 1.65, 1.66], {0: 1.75, 1: 1.68, 2: 1.80}, seed)
        assert winner.trial == 1
        assert winner.ties == []
        assert winner.candidates[0].mean_loss == pytest.approx(1.68, abs=0.1)


def test_what_is_told_apart_is_not_trained_further(trainings):
    found(trainings, [1.60, 1.65, 1.66], {0: 1.75, 1: 1.60, 2: 1.90})
    assert sorted(trainings["done"]) == [(n, repeat) for n in range(3) for repeat in (1, 2)]


def test_equals_tie_and_use_up_the_budget(trainings):
    tied = 0
    for seed in range(40):
        winner = found(trainings, [1.6, 1.6], {0: 1.7, 1: 1.7}, seed, most_repeats=4)
        tied += len(winner.ties)
    # At 95% of one look; there are three looks, so that a few more are told apart by chance.
    assert tied >= 34


def test_a_tie_is_trained_as_often_as_allowed_and_the_beaten_no_more(trainings):
    found(trainings, [1.6, 1.6, 1.6], {0: 1.7, 1: 1.7, 2: 2.0}, most_repeats=5)
    counts = [sum(trial == n for trial, _ in trainings["done"]) for n in range(3)]
    assert counts == [5, 5, 2]


def test_only_the_best_few_are_candidates(trainings):
    values = [1.9, 1.6, 1.8, 1.7]
    winner = found(trainings, values, dict.fromkeys(range(4), 1.7), top=2, most_repeats=2)
    assert {candidate.trial for candidate in winner.candidates} == {1, 3}


def test_intervals_hold_the_true_difference(trainings):
    """Coverage over seeds and tunes is about 95%."""
    held = 0
    for seed in range(60):
        winner = found(trainings, [1.6, 1.6], {0: 1.70, 1: 1.71}, seed, most_repeats=3)
        trial, behind = winner.candidates[1].trial, winner.candidates[1].behind
        truth = 0.01 if trial == 1 else -0.01
        held += behind.low <= truth <= behind.high
    assert held >= 52


def test_one_that_cannot_be_trained_again_is_out(trainings):
    trainings["fails"] = {0}
    winner = found(trainings, [1.6, 1.7], {0: 1.5, 1: 1.7})
    assert [candidate.trial for candidate in winner.candidates] == [1]
    trainings["fails"] = {0, 1}
    with pytest.raises(StudyError, match="none of the best configurations could be trained again"):
        found(trainings, [1.6, 1.7], {0: 1.5, 1: 1.7})


def test_the_epochs_of_the_winner_are_the_median_of_its_best(trainings):
    winner = found(trainings, [1.6], {0: 1.7}, most_repeats=5)
    assert winner.best_epoch == 3 + 17 % 3


def test_another_candidate_can_be_chosen_in_the_winners_place(trainings):
    winner = found(trainings, [1.6, 1.6, 1.6], {0: 1.7, 1: 1.7, 2: 2.0}, most_repeats=2)
    (tied,) = winner.ties
    chosen = winner.with_winner(tied)
    assert chosen.trial == tied
    assert chosen.params == {"x": tied}
    assert chosen.ties == [winner.trial]
    assert winner.with_winner(2).ties == []
    with pytest.raises(StudyError, match=r"one of those trained again \(.*\), but got 7"):
        winner.with_winner(7)


@pytest.mark.parametrize("options", [{"top": 0}, {"most_repeats": 1}])
def test_too_small_numbers_are_refused(trainings, options):
    with pytest.raises(ValueError, match="top must be at least 1 and repeats at least 2"):
        found(trainings, [1.6], {0: 1.7}, **options)


def test_the_report_names_the_winner_and_its_ties(trainings, tmp_path):
    of = search([1.60, 1.61, 1.62])
    trainings.update(truth={0: 1.7, 1: 1.7, 2: 1.9})
    winner = find_winner(of, RetrainingConfig(tmp_path), most_repeats=2)
    write_winner(winner, of, tmp_path)
    read = read_winner(tmp_path)
    assert read["trial"] == winner.trial
    text = (tmp_path / "optimization_report.txt").read_text()
    assert text == report(of.result, winner=read)
    assert f"fresh seeds: trial {winner.trial}, tied with trial {winner.ties[0]}" in text
    assert "Trial 0, the best of the search, had a loss of 1.6000 there" in text
    later = winner_lines(read, n_trials=9)
    assert later[-1].startswith("It was found among the first 3 trials")
    (tmp_path / "winner.json").unlink()
    assert read_winner(tmp_path) is None


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"trial": 1}', '{"trial": "../x"}', "[" * 100_000]
)
def test_a_damaged_winner_is_told_in_the_report_and_costs_nothing_else(tmp_path, content):
    (tmp_path / "winner.json").write_text(content)
    with pytest.raises(StudyError, match=r"winner\.json is damaged: "):
        read_winner(tmp_path)
    write_result_files(search([1.6]).result, tmp_path)
    text = (tmp_path / "optimization_report.txt").read_text()
    assert "No winner is shown, since winner.json is damaged" in text
    assert "RANK 1: Trial 0" in text
