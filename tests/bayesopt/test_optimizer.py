import copy
import json
import pickle
import sys
import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.bayesopt._optimizer import Optimizer, Proposal
from chromasonic.errors import SpaceError

MIXED = Space(
    {
        "lr": Float(1e-5, 1.0, log=True),
        "optimizer": Categorical(["adam", "sgd"]),
        "momentum": Float(0.0, 1.0, when={"optimizer": ["sgd"]}),
        "units": Integer(8, 512, log=True),
        "batch": Ordinal([16, 32, 64, 128]),
        "epochs": Fixed(3),
    }
)
LINE = Space({"x": Float(0.0, 1.0)})
PLANE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})


def loss(params):
    slow = (np.log10(params["lr"]) + 2.5) ** 2 + (np.log2(params["units"]) - 7) ** 2 / 10
    if params["optimizer"] == "sgd":
        return slow + 0.3 + (params["momentum"] - 0.9) ** 2
    return slow + 0.2 * (params["batch"] != 32)


def run(optimizer, function, n):
    values = []
    for _ in range(n):
        proposal = optimizer.ask()
        values.append(function(proposal.params))
        optimizer.tell(proposal, values[-1])
    return values


def test_it_finds_the_optimum_of_a_mixed_conditional_space():
    values = run(Optimizer(MIXED, seed=1), loss, 50)
    assert min(values) < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_it_beats_random_search_by_far_on_a_smooth_function(seed):
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(4)})

    def bowl(params):
        return sum((x - 0.7) ** 2 for x in params.values())

    rng = np.random.default_rng(seed)
    random = min(bowl(space.sample(rng)) for _ in range(40))
    assert min(run(Optimizer(space, seed=seed), bowl, 40)) < random / 20


def test_every_proposal_is_a_point_of_the_space():
    optimizer = Optimizer(MIXED, seed=2)
    for _ in range(30):
        proposal = optimizer.ask()
        MIXED.validate(proposal.params)
        optimizer.tell(proposal, loss(proposal.params))


def test_the_same_seed_proposes_the_same_and_another_does_not():
    first, second, other = (Optimizer(MIXED, seed=s) for s in (3, 3, 4))
    assert run(first, loss, 15) == run(second, loss, 15)
    assert first.observations == second.observations
    assert run(other, loss, 15) != [o.value for o in first.observations]


def test_what_it_keeps_in_memory_is_only_a_cache():
    keeping, forgetting = Optimizer(MIXED, seed=5), Optimizer(MIXED, seed=5)
    running = []
    for step in range(30):
        forgetting = Optimizer.from_state(forgetting.state())
        proposal, same = keeping.ask(), forgetting.ask()
        assert proposal == same
        running.append(proposal)
        if step % 3:
            done = running.pop(step % len(running))
            for optimizer in (keeping, forgetting):
                optimizer.tell(done, loss(done.params))


def test_the_order_in_which_running_points_end_does_not_matter():
    forwards, backwards = Optimizer(PLANE, seed=6), Optimizer(PLANE, seed=6)
    for optimizer, step in ((forwards, 1), (backwards, -1)):
        for proposal in optimizer.ask(8)[::step]:
            optimizer.tell(proposal, proposal.params["x"] + proposal.params["y"])
    assert forwards.ask() == backwards.ask()


def test_a_saved_and_restored_optimizer_goes_on_as_the_original():
    optimizer = Optimizer(MIXED, seed=7, initial_points=[MIXED.sample(np.random.default_rng(0))])
    run(optimizer, loss, 8)
    running = optimizer.ask(3)
    optimizer.report(running[0], 1, 2.0)
    optimizer.tell(running[1], failed=True)
    optimizer.tell(running[2], float("inf"))
    restored = Optimizer.from_state(json.loads(json.dumps(optimizer.state())))
    for each in (optimizer, restored):
        each.tell(running[0], pruned=True)
    assert run(optimizer, loss, 6) == run(restored, loss, 6)
    assert repr(optimizer.observations) == repr(restored.observations)


def test_a_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="must have version 1, but got 99"):
        Optimizer.from_state({"version": 99})


def test_a_batch_is_spread_out():
    optimizer = Optimizer(PLANE, seed=8)
    run(optimizer, lambda p: (p["x"] - 0.3) ** 2 + (p["y"] - 0.6) ** 2, 6)
    batch = PLANE.encode([proposal.params for proposal in optimizer.ask(6)])
    gaps = np.linalg.norm(batch[:, None] - batch, axis=2)[np.triu_indices(6, 1)]
    assert gaps.min() > 0.01


def test_points_still_running_are_not_asked_again():
    optimizer = Optimizer(Space({"n": Integer(1, 6)}), seed=9)
    assert sorted(proposal.params["n"] for proposal in optimizer.ask(6)) == [1, 2, 3, 4, 5, 6]


def test_before_anything_is_told_any_number_of_points_can_be_asked():
    batch = Optimizer(PLANE, seed=10).ask(40)
    points = PLANE.encode([proposal.params for proposal in batch])
    gaps = np.linalg.norm(points[:, None] - points, axis=2)[np.triu_indices(40, 1)]
    assert gaps.min() > 0.03


@pytest.mark.parametrize("value", [1.0, float("nan"), float("inf")])
def test_a_discrete_space_is_exhausted_before_a_point_comes_twice(value):
    space = Space(
        {
            "a": Categorical(["x", "y", "z"]),
            "b": Integer(1, 3, when={"a": ["x", "y"]}),
            "c": Ordinal([1, 2, 4, 8]),
        }
    )
    optimizer, n_points = Optimizer(space, seed=11), 2 * 3 * 4 + 4
    seen = set()
    for _ in range(n_points):
        proposal = optimizer.ask()
        seen.add(json.dumps(proposal.params))
        optimizer.tell(proposal, value)
    assert len(seen) == n_points
    space.validate(optimizer.ask().params)


def test_a_large_discrete_space_repeats_nothing():
    space = Space({name: Integer(0, 9) for name in "abcd"})
    optimizer = Optimizer(space, seed=12)
    run(optimizer, lambda p: sum(p.values()), 80)
    assert len({json.dumps(o.params) for o in optimizer.observations}) == 80


def test_a_range_of_very_many_integers_repeats_nothing():
    space = Space({"n": Integer(1, 10**6, log=True), "c": Categorical(["a", "b", "c"])})
    optimizer = Optimizer(space, seed=13)
    run(optimizer, lambda p: abs(np.log10(p["n"]) - 0.3) + (p["c"] == "b"), 45)
    assert len({json.dumps(o.params) for o in optimizer.observations}) == 45


def test_no_two_points_of_a_continuous_space_are_nearly_the_same():
    optimizer = Optimizer(LINE, seed=13)
    run(optimizer, lambda p: (p["x"] - 0.5) ** 2, 40)
    places = np.sort([o.params["x"] for o in optimizer.observations])
    assert np.diff(places).min() > 1e-6


def test_a_constant_objective_is_explored_evenly():
    optimizer = Optimizer(LINE, seed=14)
    run(optimizer, lambda p: 1.0, 20)
    places = np.sort([o.params["x"] for o in optimizer.observations])
    assert np.diff(places).max() < 0.15


def test_failures_teach_where_not_to_go():
    def failing(avoid):
        optimizer, failed = Optimizer(PLANE, seed=15), 0
        for _ in range(40):
            proposal = optimizer.ask()
            bad = proposal.params["x"] > 0.5
            failed += bad
            # The loss falls towards the places that fail.
            if bad and avoid:
                optimizer.tell(proposal, failed=True)
            else:
                optimizer.tell(proposal, -proposal.params["x"])
        return failed

    assert failing(avoid=True) < 20 < failing(avoid=False)


@given(st.lists(st.sampled_from([float("nan"), float("inf"), 1e30, -1e30, 1e308]), max_size=6))
@settings(max_examples=15)
def test_absurd_values_do_no_harm(absurd):
    optimizer = Optimizer(PLANE, seed=16)
    for value in absurd:
        optimizer.tell(optimizer.ask(), value)
    run(optimizer, lambda p: (p["x"] - 0.3) ** 2 + (p["y"] - 0.6) ** 2, 8)
    PLANE.validate(optimizer.ask().params)


@pytest.mark.parametrize("absurd", [float("nan"), float("inf"), 1e30])
def test_absurd_values_in_one_half_do_not_spoil_the_search_in_the_other(absurd):
    def half(params):
        good = (params["x"] - 0.3) ** 2 + (params["y"] - 0.6) ** 2
        return absurd if params["x"] > 0.5 else good

    assert np.nanmin(run(Optimizer(PLANE, seed=17), half, 40)) < 1e-3


def models(n):
    """As many as that, each with a parameter of its own."""
    names = [f"model{i}" for i in range(n)]
    own = {f"of_{name}": Float(0.0, 1.0, when={"model": [name]}) for name in names}
    return Space({"model": Categorical(names), "rate": Float(1e-4, 1.0, log=True), **own})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [3, 6, 8])
def test_each_branch_of_a_space_gets_two_looks_before_the_model_is_asked(n, seed):
    optimizer = Optimizer(models(n), seed=seed)
    values = [proposal.params["model"] for proposal in optimizer.ask(1 + 2 * n)]
    assert min(Counter(values[1:]).values()) == max(Counter(values[1:]).values()) == 2
    assert len(set(values)) == n


@pytest.mark.parametrize("space", [PLANE, MIXED, models(2)])
def test_a_space_of_at_most_two_branches_begins_with_five_points(space):
    def proposals(optimizer):
        run(optimizer, lambda params: sum(map(len, map(str, params.values()))), 8)
        return [observation.params for observation in optimizer.observations]

    five = proposals(Optimizer(space, seed=3, n_initial=5))
    assert proposals(Optimizer(space, seed=3)) == five
    assert proposals(Optimizer(space, seed=3, n_initial=6)) != five


def test_the_number_of_initial_points_that_is_asked_for_is_kept():
    def values(**options):
        optimizer = Optimizer(models(6), seed=4, **options)
        for _ in range(5):
            optimizer.tell(optimizer.ask(), 1.0)
        # The model is asked: where all values are equal it goes far away, whatever the design.
        return optimizer.ask().params

    assert values(n_initial=5) != values()


def test_initial_points_come_first_and_count_as_initial():
    point = {"x": 0.123, "y": 0.456}
    optimizer = Optimizer(PLANE, seed=18, initial_points=[point])
    assert optimizer.ask().params == point
    assert optimizer.ask().params == {"x": 0.5, "y": 0.5}


def test_points_of_the_users_own_can_be_told():
    optimizer = Optimizer(PLANE, seed=19)
    for x in np.linspace(0, 1, 8):
        optimizer.tell({"x": x, "y": 0.5}, (x - 0.4) ** 2)
    assert abs(optimizer.ask().params["x"] - 0.4) < 0.2
    assert [o.number for o in optimizer.observations] == list(range(8))


def test_equal_parameters_asked_twice_stay_two_proposals():
    space = Space({"n": Integer(1, 2)})
    optimizer = Optimizer(space, seed=20)
    proposals = optimizer.ask(4)
    optimizer.tell(proposals[0].params, 1.0)
    assert [o.number for o in optimizer.observations] == [0]
    assert [p.number for p in optimizer.running] == [1, 2, 3]


def test_a_pruned_point_is_expected_to_end_no_better_than_the_best():
    optimizer = Optimizer(LINE, seed=21)
    for x in np.linspace(0, 1, 6):
        optimizer.tell({"x": x}, 1 + x)
    proposal = optimizer.ask()
    optimizer.report(proposal, 1, -5.0)
    optimizer.tell(proposal, pruned=True)
    at = LINE.encode([proposal.params])
    assert optimizer.surrogate().predict(at)[0] > 0.9


def slow_start(params):
    """Ten epochs: what learns slowly starts badly and ends well."""
    rate = params["x"]
    end = 1.0 + 4.0 * (rate - 0.2) ** 2
    return [end + (1.2 - rate) * 3.0 * np.exp(-epoch / 2.0) for epoch in range(10)]


@pytest.mark.parametrize("seed", range(3))
def test_pruning_slow_starters_does_not_move_the_optimum(seed):
    optimizer = Optimizer(PLANE, seed=seed)
    finished = []
    for _ in range(40):
        proposal = optimizer.ask()
        curve = slow_start(proposal.params)
        at_two = [o.curve[3] for o in optimizer.observations if 3 in o.curve]
        for epoch, value in enumerate(curve, start=1):
            optimizer.report(proposal, epoch, value)
            if epoch == 3 and len(at_two) >= 5 and value > np.median(at_two):
                optimizer.tell(proposal, pruned=True)
                break
        else:
            finished.append((curve[-1], proposal.params["x"]))
            optimizer.tell(proposal, curve[-1])
    places = np.linspace(0, 1, 101)
    grid = PLANE.encode([{"x": x, "y": 0.5} for x in places])
    expected = optimizer.surrogate().predict(grid)
    assert abs(places[np.argmin(expected)] - 0.2) < 0.12


def test_the_surrogate_speaks_in_units_of_the_objective():
    optimizer = Optimizer(LINE, seed=22)
    run(optimizer, lambda p: 1000 + 50 * p["x"], 15)
    mean, std = optimizer.surrogate().predict(np.array([[0.5]]), return_std=True)
    assert mean[0] == pytest.approx(1025, abs=3)
    assert std[0] < 5


def test_a_space_of_constants_has_one_point():
    optimizer = Optimizer(Space({"a": Fixed(1), "b": Fixed("x")}), seed=23)
    for _ in range(8):
        assert optimizer.ask().params == {"a": 1, "b": "x"}
        optimizer.tell({"a": 1, "b": "x"}, 1.0)


@pytest.mark.parametrize("acquisition", ["ei", "log_ei", "pi", "ucb", "lcb"])
@pytest.mark.parametrize("kernel", ["matern12", "matern32", "matern52", "rbf"])
def test_every_acquisition_works_with_every_kernel(acquisition, kernel):
    optimizer = Optimizer(PLANE, seed=24, acquisition=acquisition, kernel=kernel)
    values = run(optimizer, lambda p: (p["x"] - 0.3) ** 2 + (p["y"] - 0.6) ** 2, 25)
    # Probability of improvement is content with small steps.
    assert min(values) < (0.05 if acquisition == "pi" else 0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "tell needs a value"),
        ({"value": 1.0, "failed": True}, "no two that contradict"),
        ({"failed": True, "pruned": True}, "no two that contradict"),
    ],
)
def test_what_is_told_must_be_clear(arguments, message):
    optimizer = Optimizer(LINE, seed=25)
    with pytest.raises(ValueError, match=message):
        optimizer.tell(optimizer.ask(), **arguments)


@pytest.mark.parametrize("value", [True, "0.5", [1.0]])
def test_a_value_must_be_a_number(value):
    optimizer = Optimizer(LINE, seed=26)
    with pytest.raises(TypeError, match="must be a number"):
        optimizer.tell(optimizer.ask(), value)


def test_mistakes_are_told_clearly():
    optimizer = Optimizer(LINE, seed=27)
    proposal = optimizer.ask()
    optimizer.tell(proposal, 1.0)
    with pytest.raises(ValueError, match="number 0 is not"):
        optimizer.tell(proposal, 1.0)
    with pytest.raises(ValueError, match="number 7 is not"):
        optimizer.report(Proposal(7, {"x": 0.5}), 1, 1.0)
    with pytest.raises(ValueError, match="n must be at least 1"):
        optimizer.ask(0)
    with pytest.raises(SpaceError, match="'x'"):
        optimizer.tell({"x": 2.0}, 1.0)
    with pytest.raises(SpaceError, match="'x'"):
        Optimizer(LINE, initial_points=[{"x": 2.0}])
    with pytest.raises(ValueError, match="kernel must be one of"):
        Optimizer(LINE, kernel="cubic")
    with pytest.raises(ValueError, match="initial_design must be one of"):
        Optimizer(LINE, initial_design="grid")
    with pytest.raises(ValueError, match="acquisition must be one of"):
        Optimizer(LINE, acquisition="greedy")
    with pytest.raises(ValueError, match="n_initial must be at least 1"):
        Optimizer(LINE, n_initial=0)
    with pytest.raises(ValueError, match="seed must be a whole number from 0 on"):
        Optimizer(LINE, seed=-1)
    with pytest.raises(ValueError, match="xi and kappa must be finite"):
        Optimizer(LINE, xi=float("nan"))


def test_no_observation_is_lost_between_four_threads_that_ask_and_tell():
    optimizer = Optimizer({"x": (0.0, 1.0), "k": ["a", "b"]}, seed=0)
    interval = sys.getswitchinterval()
    asked = []

    def work():
        for _ in range(8):
            proposal = optimizer.ask()
            asked.append(proposal.number)
            optimizer.report(proposal, 1, 2.0)
            optimizer.state()
            optimizer.tell(proposal, (proposal.params["x"] - 0.3) ** 2)
            optimizer.tell({"x": proposal.params["x"], "k": "a"}, 1.0)

    # Threads switch in the midst of everything.
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(set(asked)) == 32
    assert [o.number for o in optimizer.observations] == list(range(64))
    assert optimizer.running == []


def test_a_copy_and_a_pickle_of_an_optimizer_go_on_as_the_original():
    optimizer = Optimizer(MIXED, seed=3)
    for _ in range(8):
        optimizer.tell(optimizer.ask(), 1.0)
    twins = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    assert [twin.ask() for twin in twins] == [optimizer.ask()] * 2


def test_scalars_of_numpy_are_kept_as_those_of_python():
    optimizer = Optimizer(
        {"x": (0.0, 1.0), "n": (1, 8), "c": ["a", True, 7]},
        seed=np.int64(5),
        n_initial=np.int32(2),
        xi=np.float32(0.0),
        initial_points=[{"x": np.float32(0.5), "n": np.uint8(3), "c": np.bool_(True)}],
    )
    first = optimizer.ask()
    assert [type(value) for value in first.params.values()] == [float, int, bool]
    optimizer.tell(first, np.float16(0.25))
    optimizer.tell({"x": np.array(0.25), "n": np.int64(2), "c": np.str_("a")}, np.array(1.0))
    stored = json.loads(json.dumps(optimizer.state()))
    assert Optimizer.from_state(stored).ask() == optimizer.ask()
    plain = Optimizer(
        {"x": (0.0, 1.0), "n": (1, 8), "c": ["a", True, 7]},
        seed=5,
        n_initial=2,
        initial_points=[{"x": 0.5, "n": 3, "c": True}],
    )
    plain.tell(plain.ask(), 0.25)
    plain.tell({"x": 0.25, "n": 2, "c": "a"}, 1.0)
    assert plain.ask().params == optimizer.running[0].params
