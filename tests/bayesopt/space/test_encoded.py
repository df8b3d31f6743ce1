import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.bayesopt.space.encoded import EncodedSpace

MIXED = Space(
    {
        "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd"]}),
        "optimizer": Categorical(["adam", "sgd", None]),
        "nesterov": Categorical([True, False], when={"optimizer": ["sgd", None]}),
        "units": Integer(1, 300, log=True),
        "coarse": Integer(2, 20, log=True, step=3),
        "dropout": Float(0.0, 0.5, step=0.1),
        "batch": Ordinal([16, 32, 64]),
        "seed": Fixed(1),
        "many": Integer(0, 10**9, step=7),
        "wide": Integer(1, 10**6, log=True),
        "fine": Float(1.0, 9.0, log=True, step=0.001),
    }
)
SMALL = Space(
    {
        "a": Categorical(["x", "y", "z"]),
        "b": Integer(1, 3, when={"a": ["x", "y"]}),
        "c": Ordinal([1, 2, 4, 8]),
    }
)


@given(st.integers(0, 10**6))
def test_snapped_points_are_those_that_the_space_decodes_and_encodes(seed):
    raw = np.random.default_rng(seed).random((20, len(MIXED)))
    snapped = EncodedSpace(MIXED).snap(raw)
    decoded = MIXED.decode(raw)
    np.testing.assert_allclose(snapped, MIXED.encode(decoded), atol=1e-12)


def test_random_points_are_spread_as_those_of_the_space():
    rng = np.random.default_rng(0)
    ours = EncodedSpace(MIXED).random(4000, rng)
    theirs = MIXED.encode([MIXED.sample(rng) for _ in range(4000)])
    np.testing.assert_allclose(np.nanmean(ours, axis=0), np.nanmean(theirs, axis=0), atol=0.04)
    np.testing.assert_allclose(np.isnan(ours).mean(0), np.isnan(theirs).mean(0), atol=0.04)


def test_moved_points_lie_in_the_space_and_differ_from_where_they_started():
    encoded, rng = EncodedSpace(MIXED), np.random.default_rng(1)
    U = encoded.random(300, rng)
    moved = encoded.perturb(U, np.full(300, 0.05), rng)
    np.testing.assert_allclose(encoded.snap(encoded.fill_inactive(moved)), moved, atol=1e-12)
    same = (moved == U) | (np.isnan(moved) & np.isnan(U))
    # A category may be drawn again, and a column may be inactive; a number always moves.
    assert same.all(axis=1).mean() < 0.3
    assert same.mean() > 0.5


def test_an_integer_moves_by_at_least_one_step():
    encoded = EncodedSpace(Space({"n": Integer(0, 9)}))
    U = np.full((50, 1), 0.45)
    moved = encoded.perturb(U, np.full(50, 1e-6), np.random.default_rng(2))
    assert set(np.round(moved.ravel(), 2)) == {0.35, 0.55}


def test_neighbours_are_all_points_that_differ_in_one_place():
    encoded = EncodedSpace(SMALL)
    u = SMALL.encode([{"a": "x", "b": 2, "c": 4}])[0]
    points = SMALL.decode(encoded.fill_inactive(encoded.neighbours(u)))
    expected = [{"a": "y", "b": 2, "c": 4}, {"a": "z", "c": 4}]
    expected += [{"a": "x", "b": b, "c": 4} for b in (1, 3)]
    expected += [{"a": "x", "b": 2, "c": c} for c in (1, 2, 8)]
    assert sorted(map(json.dumps, points)) == sorted(map(json.dumps, expected))


def test_all_points_of_a_small_space_come_once_each():
    encoded = EncodedSpace(SMALL)
    points = SMALL.decode(encoded.fill_inactive(encoded.all_points()))
    assert len(points) == len({json.dumps(point) for point in points}) == 2 * 3 * 4 + 4
    assert encoded.n_points == 3 * 3 * 4


def test_a_space_of_many_constants_can_be_counted():
    space = Space({**{f"fixed{i}": Fixed(i) for i in range(100)}, "n": Integer(1, 3)})
    assert len(EncodedSpace(space).all_points()) == 3
    assert len(EncodedSpace(space.fix(n=2)).all_points()) == 1


def test_a_continuous_space_cannot_be_counted():
    assert EncodedSpace(MIXED).n_points is None


def test_points_have_the_same_key_only_where_they_are_the_same():
    encoded = EncodedSpace(MIXED)
    U = encoded.random(200, np.random.default_rng(3))
    assert len(set(encoded.keys(U))) == 200
    assert encoded.keys(U) == encoded.keys(U + 1e-9)
    assert len(encoded.distinct(np.vstack([U, U]))) == 200


def test_a_constant_parent_switches_its_children_for_good():
    space = Space(
        {
            "kind": Fixed("b"),
            "on": Float(0.0, 1.0, when={"kind": ["b"]}),
            "off": Float(0.0, 1.0, when={"kind": ["a"]}),
        }
    )
    U = EncodedSpace(space).random(5, np.random.default_rng(4))
    assert not np.isnan(U[:, 1]).any()
    assert np.isnan(U[:, 2]).all()
