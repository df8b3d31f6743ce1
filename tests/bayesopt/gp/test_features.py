import numpy as np
import pytest

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.bayesopt.gp.features import Features

SPACE = Space(
    {
        "lr": Float(1e-4, 1e-1, log=True),
        "seed": Fixed(3),
        "optimizer": Categorical(["adam", "sgd", "rmsprop"]),
        "momentum": Float(0.0, 1.0, when={"optimizer": ["sgd"]}),
        "units": Ordinal([16, 32, 64]),
        "schedule": Categorical(["step", "cosine"], when={"optimizer": ["sgd"]}),
    }
)


def distance(a, b):
    Z = Features(SPACE)(SPACE.encode([a, b]))
    return float(np.linalg.norm(Z[0] - Z[1]))


def adam(**values):
    return {"lr": 1e-2, "seed": 3, "optimizer": "adam", "units": 32, **values}


def sgd(**values):
    return adam(optimizer="sgd", momentum=0.5, schedule="step", **values)


def test_two_categories_are_equally_far_apart_whichever_they_are():
    space = Space({"optimizer": SPACE["optimizer"]})
    Z = Features(space)(space.encode([{"optimizer": o} for o in ("adam", "sgd", "rmsprop")]))
    gaps = np.linalg.norm(Z[:, None] - Z, axis=2)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(gaps, gaps[0])
    assert 0.05 < gaps[0] < 0.3


@pytest.mark.parametrize("k", [2, 3, 10])
def test_random_categories_are_a_short_step_apart_however_many_there_are(k):
    space = Space({"c": Categorical([str(i) for i in range(k)])})
    rng = np.random.default_rng(0)
    Z = Features(space)(rng.random((40_000, 1)))
    gaps = np.sum((Z[::2] - Z[1::2]) ** 2, axis=1)
    assert np.sqrt(gaps.mean()) == pytest.approx(0.125, rel=0.05)


def test_numbers_are_as_far_apart_as_in_the_cube():
    assert distance(adam(lr=1e-4), adam(lr=1e-1)) == pytest.approx(1.0)
    assert distance(adam(units=16), adam(units=64)) == pytest.approx(2 / 3)


def test_an_absent_number_is_equally_far_from_all_its_values():
    far = [distance(adam(), {**sgd(), "momentum": m}) for m in (0.0, 0.3, 1.0)]
    assert far == pytest.approx([far[0]] * 3)


def test_the_more_two_present_values_differ_the_farther_apart_they_are():
    far = [distance({**sgd(), "momentum": 0.0}, {**sgd(), "momentum": m}) for m in (0.1, 0.5, 1.0)]
    assert far == sorted(far)
    assert far[0] == pytest.approx(0.1, rel=0.01)


def test_what_both_lack_does_not_part_them():
    assert distance(adam(), adam()) == 0.0


def test_constants_have_no_features_and_every_other_parameter_one_length_scale():
    features = Features(SPACE)
    assert features.n_groups == 5
    assert features.groups.tolist() == [0, 1, 1, 1, 2, 2, 3, 4, 4]


def test_gradients_are_pulled_back_as_finite_differences_say():
    features = Features(SPACE)
    U, step = SPACE.encode([sgd(), adam(), sgd(units=64)]), 1e-6
    weights = np.random.default_rng(0).normal(size=(3, len(features.groups)))
    back = features.pull_back(U, weights)
    for column in (0, 3, 4):
        off = np.zeros_like(U)
        off[:, column] = step
        change = (features(U + off) - features(U - off)) * weights
        expected = np.where(np.isnan(U[:, column]), 0.0, change.sum(axis=1) / (2 * step))
        np.testing.assert_allclose(back[:, column], expected, atol=1e-8)


def test_a_space_of_integers_only_works():
    space = Space({"n": Integer(1, 3)})
    np.testing.assert_allclose(Features(space)(space.encode([{"n": 2}])), [[0.5]])
