from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from chromasonic.tuning.sampling._axes import axis_of
from chromasonic.tuning.sampling._conditions import find_conditions

RANGES = {
    "deep": IntDistribution(0, 5),
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "w": FloatDistribution(0.0, 1.0),
    "z": FloatDistribution(0.0, 1.0),
}


def conditions_of(trials, names=tuple(RANGES)):
    axes = {name: axis_of(RANGES[name]) for name in names}
    return find_conditions(axes, trials)


def row(kind, deep, **others):
    return {"kind": float(kind), "deep": float(deep), **others}


def test_a_category_that_decides_is_found_and_one_not_tried_yet_may_decide_either_way():
    trials = [row(0, 1, w=0.5), row(1, 1), row(0, 2, w=0.1), row(1, 4)]
    found = conditions_of(trials)
    assert found.parents == {"w": ("kind", (0, 2))}
    assert found.unexplained == (("z",),)


def test_a_threshold_of_a_number_is_found():
    trials = [row(0, 0), row(1, 5, w=0.5), row(1, 2, w=0.5), row(0, 4, w=0.1), row(1, 1)]
    assert conditions_of(trials).parents["w"] == ("deep", (2, 3, 4, 5))


def test_conditions_form_chains():
    trials = [
        {"kind": 0.0},
        {"kind": 1.0, "deep": 1.0},
        {"kind": 1.0, "deep": 3.0, "w": 0.2},
        {"kind": 1.0, "deep": 3.0, "w": 0.7},
        {"kind": 1.0, "deep": 1.0},
        {"kind": 0.0},
        {"kind": 2.0},
    ]
    found = conditions_of(trials, ("deep", "kind", "w"))
    assert found.parents == {"deep": ("kind", (1,)), "w": ("deep", (2, 3, 4, 5))}


def test_without_a_parent_parameters_that_come_and_go_together_stand_together():
    trials = [row(0, 1, w=0.5, z=0.1), row(0, 1), row(1, 2), row(1, 2, w=0.5, z=0.4)]
    found = conditions_of(trials)
    assert found.parents == {}
    assert found.unexplained == (("w", "z"),)
