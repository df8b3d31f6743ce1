import math

import numpy as np
import pytest

from chromasonic.bayesopt import (
    Categorical,
    Fixed,
    Float,
    Integer,
    Optimizer,
    Ordinal,
    Space,
    parameter_importance,
)
from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.bayesopt.analysis.refinement import Action, refine
from chromasonic.errors import SpaceError

MATTERS = Interval(0.5, 0.3, 0.7)
MAY_MATTER = Interval(0.0, 0.0, 0.2)
IDLE = Interval(0.0, 0.0, 0.03)

UNIT = Float(0.0, 10.0)


def decide(parameter, tried, effect=MATTERS, losses=None):
    """The decision on one parameter, tried at these values, the better ones first."""
    losses = range(len(tried)) if losses is None else losses
    points = [{"p": value} for value in tried]
    effects = None if effect is None else {"p": effect}
    (decision,) = refine(Space({"p": parameter, **OTHER}), with_other(points), losses, effects)[:1]
    return decision


# Something is always left to search.
OTHER = {"other": Float(0.0, 1.0)}


def with_other(points):
    return [{**point, "other": 0.5} for point in points]


def spread(n, low=0.0, high=10.0):
    return np.linspace(low, high, n).tolist()


# Widening


def test_most_of_the_best_at_an_end_widen_the_range():
    sizes = Integer(64, 512, step=32)
    decision = decide(sizes, [512, 480, 512, 512, 256, *[64, 128, 192, 320] * 5])
    assert decision.action is Action.WIDEN
    assert str(decision) == "p: 4 of the best 5 are at the upper end; widen to 1024"
    assert decision.parameter == Integer(64, 1024, step=32)


def test_the_lower_end_widens_downwards():
    rates = Float(1e-4, 1e-2, log=True)
    decision = decide(rates, [1e-4, 1.2e-4, 1.1e-4, 1e-4, 1e-2, *[1e-3] * 20])
    assert decision.parameter == Float(1e-5, 1e-2, log=True)
    assert decision.reason == "4 of the best 5 are at the lower end; widen to 1e-05"


def test_few_trials_can_widen_a_range_already():
    decision = decide(UNIT, [9.9, 9.8, 9.7, 9.6, 9.5, *spread(5)], effect=None)
    assert decision.action is Action.WIDEN


def test_half_of_the_best_at_an_end_are_not_enough():
    assert decide(UNIT, [10.0, 10.0, 5.0, 4.0, 3.0, *spread(20)]).action is not Action.WIDEN


def test_what_chance_would_do_widens_nothing():
    # A third of all values is the last of three: 3 of 5 come to sit there by chance, 1 in 5 times.
    tried = [64, 64, 64, 16, 32, *[16, 32, 64] * 6]
    assert decide(Ordinal([16, 32, 64]), tried).action is Action.KEEP
    tried = [64, 64, 64, 64, 64, *[16, 32, 64] * 6]
    assert decide(Ordinal([16, 32, 64]), tried).parameter == Ordinal([16, 32, 64, 128, 256])


def test_chance_alone_seldom_widens_anything():
    """Random values of parameters that do nothing: a wrong finding on 1 in 20 at most."""
    rng = np.random.default_rng(0)
    space = Space(
        {"x": UNIT, "n": Integer(1, 4), "o": Ordinal([1, 2]), "k": Categorical(["a", "b"])}
    )
    found = 0
    for _ in range(100):
        points = [space.sample(rng) for _ in range(30)]
        decisions = refine(space, points, rng.random(30).tolist(), dict.fromkeys(space, MATTERS))
        found += sum(d.action is Action.WIDEN for d in decisions)
    # Two ends of three parameters, 100 times.
    assert found <= 0.05 * 600


def test_a_natural_end_is_not_crossed():
    dropout = Float(0.0, 0.5)
    decision = decide(dropout, [0.0, 0.0, 0.01, 0.0, 0.02, *spread(20, 0.0, 0.5)])
    # There is nothing below 0, but much above that can be left out.
    assert decision.action is Action.NARROW
    assert decision.parameter == Float(0.0, 0.1)


# Narrowing


def test_a_range_is_narrowed_to_where_the_best_are_surrounded():
    decision = decide(UNIT, [4.0, 4.5, 5.0, 4.2, 4.8, *spread(20)])
    assert decision.action is Action.NARROW
    assert decision.parameter == Float(3.0, 6.0)
    assert decision.reason == (
        "the best 5 lie from 4 to 5, others below and above; narrow to 3 to 6"
    )


def test_a_side_where_hardly_anything_was_tried_stays_open():
    decision = decide(UNIT, [4.0, 4.5, 5.0, 4.2, 4.8, *spread(19, 5.0, 10.0), 0.0])
    assert decision.parameter == Float(0.0, 6.0)


@pytest.mark.parametrize("centre", [0.3, 5.0, 9.0])
def test_a_fifth_of_the_range_is_always_left(centre):
    decision = decide(UNIT, [centre] * 5 + spread(20))
    if decision.action is Action.NARROW:
        assert decision.parameter.high - decision.parameter.low >= 2.0
        assert decision.parameter.contains(centre)


def test_best_trials_that_are_spread_keep_the_range():
    decision = decide(UNIT, [1.0, 9.0, 4.0, 6.0, 2.0, *spread(20)])
    assert (decision.action, decision.parameter) == (Action.KEEP, UNIT)
    assert decision.reason == "the best 5 lie from 1 to 9; keep 0 to 10"


def test_steps_and_choices_keep_their_neighbours():
    assert decide(Integer(1, 9), [5] * 6 + [1, 2, 8, 9] * 5).parameter == Integer(4, 6)
    batch = Ordinal([8, 16, 32, 64, 128])
    assert decide(batch, [32] * 6 + [8, 128] * 8).parameter == Ordinal([16, 32, 64])


def test_a_fifth_of_many_trials_decides():
    # The best 10 of 50 are at 4 to 6, the best five at 5.
    decision = decide(UNIT, [5.0] * 5 + [4.0, 6.0, 4.5, 5.5, 5.0] + spread(40))
    assert decision.reason.startswith("the best 10 lie from 4 to 6")


# Categories


def test_a_category_that_is_never_among_the_best_is_left_out_if_it_was_tried_often():
    kinds = Categorical(["a", "b", "c"])
    tried = ["a", "b"] * 4 + ["a", "b"] * 8 + ["c"] * 16
    decision = decide(kinds, tried)
    assert decision.parameter == Categorical(["a", "b"])
    assert "never among the best 8: 'c' (tried 16 times)" in decision.reason
    tried = ["a", "b"] * 4 + ["a", "b"] * 14 + ["c"] * 4
    decision = decide(kinds, tried)
    assert (decision.action, decision.parameter) == (Action.KEEP, kinds)
    assert "'c' not among the best 8, but not tried often enough" in decision.reason


def test_tries_that_failed_or_were_stopped_early_count_as_tries():
    tried = ["a"] * 20 + ["b"] * 20
    losses = [float(i) for i in range(20)] + [math.nan] * 20
    decision = decide(Categorical(["a", "b"]), tried, losses=losses)
    assert (decision.action, decision.parameter) == (Action.FIX, Fixed("a"))


def test_true_is_not_the_same_choice_as_one():
    decision = decide(Categorical([1, True, "x"]), [True, "x"] * 10 + [1] * 20)
    assert decision.parameter.choices == (True, "x")
    assert decision.parameter.choices[0] is True


# Fixing


def test_what_surely_does_not_matter_is_held_at_the_best_trials_value():
    decision = decide(UNIT, [7.25, *spread(20)], effect=IDLE)
    assert (decision.action, decision.parameter) == (Action.FIX, Fixed(7.25))
    assert decision.reason == "it explains at most 3.0% of the variance; fix at 7.25"


def test_what_may_matter_is_left_as_it_is():
    for tried in ([10.0] * 5 + spread(20), [5.0] * 5 + spread(20)):
        decision = decide(UNIT, tried, effect=MAY_MATTER)
        assert (decision.action, decision.parameter) == (Action.KEEP, UNIT)
        assert "may not matter (it explains 0 to 20% of the variance)" in decision.reason


@pytest.mark.parametrize("effect", [None, IDLE, MATTERS])
def test_few_trials_narrow_and_fix_nothing(effect):
    decision = decide(UNIT, [5.0] * 5 + spread(9), effect=effect)
    assert (decision.action, decision.parameter) == (Action.KEEP, UNIT)
    assert decision.reason.startswith("not enough data (14 finished trials)")
    decision = decide(UNIT, [10.0] * 5 + spread(4), effect=effect)
    assert decision.action is Action.KEEP
    assert decision.reason == "9 finished trials are too few to judge; keep 0 to 10"


def test_no_importance_narrows_nothing_however_many_trials_there_are():
    decision = decide(UNIT, [5.0] * 5 + spread(30), effect=None)
    assert decision.action is Action.KEEP
    assert "not enough data" in decision.reason


def test_one_parameter_is_left_to_search():
    space = Space({"k": Categorical(["a", "b"]), "c": Fixed(1)})
    points = [{"k": kind, "c": 1} for kind in ["a"] * 20 + ["b"] * 20]
    first, second = refine(space, points, range(40), {"k": MATTERS})
    assert first.parameter == space["k"]
    assert "nothing else is left to search" in first.reason
    assert second.parameter == Fixed(1)


# Conditions

CONDITIONAL = Space(
    {
        "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd", "rms"]}),
        "optimizer": Categorical(["adam", "sgd", "rms"]),
        "nesterov": Categorical([False, True], when={"damped": [True]}),
        "damped": Categorical([False, True], when={"optimizer": ["sgd"]}),
    }
)


def conditional_points(kinds, rng):
    points = []
    for kind in kinds:
        point = {"optimizer": kind}
        if kind != "adam":
            point["momentum"] = float(rng.uniform(0.0, 0.9))
        if kind == "sgd":
            point["damped"] = bool(rng.integers(2))
        if point.get("damped"):
            point["nesterov"] = bool(rng.integers(2))
        points.append(point)
    return points


def test_what_depends_on_a_value_that_is_left_out_is_dropped_and_that_is_said():
    points = conditional_points(
        ["adam", "rms"] * 6 + ["sgd"] * 25 + ["adam", "rms"] * 6, np.random.default_rng(0)
    )
    effects = {**dict.fromkeys(CONDITIONAL, MAY_MATTER), "optimizer": MATTERS}
    decisions = {d.name: d for d in refine(CONDITIONAL, points, range(len(points)), effects)}
    assert list(decisions) == list(CONDITIONAL)
    assert decisions["optimizer"].parameter == Categorical(["adam", "rms"])
    assert decisions["momentum"].parameter.when == {"optimizer": ("rms",)}
    for name, parent in (("damped", "optimizer is 'sgd'"), ("nesterov", "damped is True")):
        assert decisions[name].action is Action.DROP
        assert decisions[name].parameter is None
        assert f"counts only where {parent}" in decisions[name].reason
    Space({name: d.parameter for name, d in decisions.items() if d.parameter is not None})


def test_a_parent_is_not_fixed_for_want_of_effect_but_a_child_may_be():
    points = conditional_points(["sgd", "adam"] * 20, np.random.default_rng(1))
    effects = dict.fromkeys(CONDITIONAL, IDLE)
    decisions = {d.name: d for d in refine(CONDITIONAL, points, range(len(points)), effects)}
    assert decisions["optimizer"].parameter == CONDITIONAL["optimizer"]
    assert decisions["damped"].parameter == CONDITIONAL["damped"]
    momentum = decisions["momentum"].parameter
    # That of the best trial which had one: the first of all.
    assert momentum == Fixed(points[0]["momentum"], when={"optimizer": ["sgd", "rms"]})


def test_a_child_is_judged_by_the_trials_that_had_it():
    points = conditional_points(["adam"] * 30 + ["rms"] * 30, np.random.default_rng(2))
    for i, point in enumerate(points[30:]):
        point["momentum"] = 0.9 if i < 6 else 0.01 * i
    effects = dict.fromkeys(CONDITIONAL, MATTERS)
    decisions = {d.name: d for d in refine(CONDITIONAL, points, range(60), effects)}
    assert decisions["momentum"].reason.startswith("6 of the best 6 are at the upper end")


# With the importance that the package finds


def test_inside_outside_and_idle_are_told_apart_on_a_known_function():
    space = Space(
        {
            "inside": Float(0.0, 1.0),
            "outside": Float(1.0, 2.0),
            "idle": Float(0.0, 1.0),
            "kind": Categorical(["good", "bad"]),
        }
    )

    def f(point):
        bad = 0.6 * (point["kind"] == "bad")
        return 4 * (point["inside"] - 0.4) ** 2 + (point["outside"] - 3.0) ** 2 / 2 + bad

    optimizer = Optimizer(space, seed=0)
    points, losses = [], []
    for _ in range(40):
        proposal = optimizer.ask()
        points.append(proposal.params)
        losses.append(f(proposal.params))
        optimizer.tell(proposal, losses[-1])
    effects = {e.names[0]: e.total for e in parameter_importance(space, points, losses)}
    decisions = {d.name: d for d in refine(space, points, losses, effects)}
    assert decisions["outside"].action is Action.WIDEN
    assert decisions["outside"].parameter.contains(3.0)
    assert decisions["inside"].parameter.contains(0.4)
    assert decisions["idle"].action is Action.FIX
    assert decisions["kind"].parameter.contains("good")


def test_points_and_losses_must_fit_each_other_and_the_space():
    space = Space({"p": UNIT})
    with pytest.raises(ValueError, match="same length, but got 1 points and 2 losses"):
        refine(space, [{"p": 1.0}], [1.0, 2.0], None)
    with pytest.raises(SpaceError, match="'p': the value must be"):
        refine(space, [{"p": 11.0}], [1.0], None)
