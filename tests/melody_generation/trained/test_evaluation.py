import numpy as np
import pytest

from chromasonic.melody_generation.trained.evaluation import (
    TuneNats,
    loss_interval,
    paired_difference,
    paired_differences,
)


def scored(rng, n=400, mean=1.7, spread=0.3, factors=1):
    notes = rng.integers(20, 200, n)
    per_note = rng.normal(mean / factors, spread, (n, factors))
    names = ("duration", "pitch")[-factors:]
    return TuneNats(per_note * notes[:, None], notes, names)


def test_the_loss_is_a_mean_over_notes_not_over_tunes():
    found = TuneNats(np.array([[10.0], [2.0]]), np.array([9, 1]), ("pitch",))
    assert found.loss == pytest.approx(1.2)


def test_the_losses_of_factors_sum_to_the_loss():
    found = scored(np.random.default_rng(0), factors=2)
    assert sum(found.factor_losses.values()) == pytest.approx(found.loss)
    assert list(found.factor_losses) == ["duration", "pitch"]


def test_the_interval_is_that_of_a_ratio_of_means():
    """Reference: the delta method, whose interval a bootstrap of 400 tunes must come near."""
    found = scored(np.random.default_rng(1))
    nats, notes = found.nats.sum(1), found.notes
    residuals = nats - found.loss * notes
    error = np.sqrt((residuals**2).sum()) / notes.sum()
    interval = loss_interval(found)
    assert interval.estimate == pytest.approx(found.loss)
    assert interval.low == pytest.approx(found.loss - 1.96 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(found.loss + 1.96 * error, abs=0.15 * error)


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(100):
        interval = loss_interval(scored(np.random.default_rng(seed), n=60))
        held += interval.low <= 1.7 <= interval.high
    # A binomial count of 100 at 0.95: 95, give or take three standard deviations.
    assert 88 <= held <= 99


def test_pairing_takes_out_what_tunes_have_in_common():
    rng = np.random.default_rng(2)
    one = scored(rng)
    gain = rng.normal(0.01, 0.02, len(one.notes))
    other = TuneNats(one.nats - (gain * one.notes)[:, None], one.notes, one.factors)
    interval = paired_difference(one, other)
    assert 0 < interval.low < interval.estimate < interval.high < 0.02
    unpaired = loss_interval(one)
    assert interval.high - interval.low < 0.2 * (unpaired.high - unpaired.low)


def test_a_difference_turned_round_has_the_other_sign():
    rng = np.random.default_rng(3)
    one = scored(rng)
    other = TuneNats(one.nats * 1.01, one.notes, one.factors)
    there, back = paired_differences(one, other), paired_differences(other, one)
    np.testing.assert_allclose(there, -back)


def test_losses_of_different_tunes_are_not_compared():
    rng = np.random.default_rng(4)
    with pytest.raises(ValueError, match="must be of the same tunes"):
        paired_difference(scored(rng), scored(rng))


def test_the_mean_of_several_is_taken_tune_by_tune():
    rng = np.random.default_rng(5)
    one = scored(rng)
    other = TuneNats(one.nats + 2.0, one.notes, one.factors)
    np.testing.assert_allclose(TuneNats.mean([one, other]).nats, one.nats + 1.0)
