import math
from itertools import product

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
    bayesian_optimization,
    parameter_importance,
)
from chromasonic.bayesopt.analysis.importance import MAX_POINTS, MIN_POINTS
from chromasonic.errors import SpaceError

A = (0.0, 1.0, 4.5, 9.0)
G_SPACE = Space({f"x{i}": Float(0.0, 1.0) for i in range(4)})
# Sobol's g-function: each parameter's own variance, and all of it together.
OWN = np.array([1 / (3 * (1 + a) ** 2) for a in A])
WHOLE = np.prod(1 + OWN) - 1
G_MAIN = dict(zip(G_SPACE, OWN / WHOLE, strict=True))
G_TOTAL = dict(zip(G_SPACE, OWN * np.prod(1 + OWN) / (1 + OWN) / WHOLE, strict=True))

MIXED = Space(
    {
        "rate": Float(1e-4, 1e-1, log=True),
        "units": Integer(1, 8),
        "kind": Categorical(["a", "b", "c"]),
        "momentum": Float(0.0, 1.0, when={"kind": ["b"]}),
        "idle": Float(0.0, 1.0),
        "constant": Fixed(3),
    }
)

# The committed problem: one parameter decides, five do nothing; also in benchmarks/importance.
NOISE = {
    "dropout": Float(0.0, 0.5),
    "hidden_size": Integer(32, 512, log=True),
    "batch_size": Ordinal([16, 32, 64, 128]),
    "optimizer": Categorical(["adam", "sgd", None]),
    "bias": Categorical([True, False]),
}
PROBLEM = Space({"learning_rate": Float(1e-5, 1e-1, log=True), **NOISE})


def g_function(params):
    return math.prod(
        (abs(4 * params[name] - 2) + a) / (1 + a) for name, a in zip(G_SPACE, A, strict=True)
    )


def mixed(params):
    miss = (math.log10(params["rate"]) + 2.5) ** 2 * (1.5 if params["kind"] == "a" else 0.7)
    offset = {"a": 0.0, "b": 0.5, "c": 1.0}[params["kind"]]
    return miss + 0.15 * params["units"] + offset + 1.5 * params.get("momentum", 0.3)


def mixed_indices():
    """Main and total effects of `mixed`, from all points of a fine grid."""
    middles = (np.arange(40) + 0.5) / 40
    rate, momentum = MIXED["rate"], MIXED["momentum"]
    axes = [
        [rate.from_unit(u) for u in middles],
        list(range(1, 9)),
        ["a", "b", "c"],
        [momentum.from_unit(u) for u in middles],
    ]
    values = []
    for point in product(*axes):
        params = dict(zip(["rate", "units", "kind", "momentum"], point, strict=True))
        if params["kind"] != "b":
            del params["momentum"]
        values.append(mixed(params))
    table = np.reshape(values, [len(axis) for axis in axes])
    main, total = {"idle": 0.0}, {"idle": 0.0}
    for i, name in enumerate(["rate", "units", "kind", "momentum"]):
        others = tuple(j for j in range(4) if j != i)
        main[name] = table.mean(axis=others).var() / table.var()
        total[name] = table.var(axis=i).mean() / table.var()
    return main, total


def random_points(space, n, seed):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


def importance_by_name(space, X, y, **others):
    found = parameter_importance(space, X, y, **others)
    return {importance.names[0]: importance for importance in found}


def noisy_problem(rng):
    def loss(params):
        return 2 + 0.3 * (math.log10(params["learning_rate"]) + 2.5) ** 2 + rng.normal(0, 0.1)

    return loss


def searched(space, objective, n, seed):
    optimizer = Optimizer(space, seed=seed)
    for _ in range(n):
        proposal = optimizer.ask()
        optimizer.tell(proposal, objective(proposal.params))
    told = optimizer.observations
    return [o.params for o in told], [o.value for o in told]


def held(effect, truth):
    # Half a percent either way makes no difference to anybody.
    return effect.low - 0.005 <= truth <= effect.high + 0.005


def assert_right(space, objective, main, total, n, n_seeds, tolerance):
    """Estimates close on average, and intervals that hold the truth in most seeds."""
    runs = []
    for seed in range(n_seeds):
        X = random_points(space, n, seed)
        runs.append(importance_by_name(space, X, [objective(p) for p in X], seed=seed))
    for name in main:
        effects = [(run[name].main, run[name].total) for run in runs]
        for which, truth in enumerate((main[name], total[name])):
            estimates = [effect[which].estimate for effect in effects]
            assert np.mean(estimates) == pytest.approx(truth, abs=tolerance)
            assert sum(held(effect[which], truth) for effect in effects) >= 0.6 * n_seeds


@pytest.mark.slow
def test_effects_of_the_g_function_are_those_of_its_analytic_solution():
    assert_right(G_SPACE, g_function, G_MAIN, G_TOTAL, n=100, n_seeds=20, tolerance=0.03)


def ishigami(params):
    x, y, z = params["x"], params["y"], params["z"]
    return math.sin(x) + 7 * math.sin(y) ** 2 + 0.1 * z**4 * math.sin(x)


@pytest.mark.slow
def test_effects_of_the_ishigami_function_are_those_of_its_analytic_solution():
    # Two waves of y in a cube of 200 points: some of what y does looks like an interaction.
    space = Space({name: Float(-math.pi, math.pi) for name in "xyz"})
    main = {"x": 0.3139, "y": 0.4424, "z": 0.0}
    total = {"x": 0.5576, "y": 0.4424, "z": 0.2437}
    assert_right(space, ishigami, main, total, n=300, n_seeds=10, tolerance=0.08)


@pytest.mark.slow
def test_effects_of_a_mixed_conditional_space_are_those_of_a_full_grid():
    main, total = mixed_indices()
    assert_right(MIXED, mixed, main, total, n=60, n_seeds=20, tolerance=0.03)


def test_constants_are_left_out():
    X = random_points(MIXED, 40, 0)
    assert set(importance_by_name(MIXED, X, [mixed(p) for p in X])) == set(MIXED) - {"constant"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["random", "optimised"])
def test_noise_explains_nothing_in_nine_of_ten_searches_of_50_trials(how):
    honest = dict.fromkeys(NOISE, 0)
    for seed in range(10):
        loss = noisy_problem(np.random.default_rng((seed, 1)))
        if how == "random":
            X = random_points(PROBLEM, 50, seed)
            y = [loss(params) for params in X]
        else:
            X, y = searched(PROBLEM, loss, 50, seed)
        # A search that soon keeps to one place may leave too little to tell: nothing is invented.
        found = parameter_importance(PROBLEM, X, y, seed=seed) or []
        claims = {importance.names[0]: importance for importance in found}
        for name in NOISE:
            effects = [claims[name].main, claims[name].total] if found else []
            honest[name] += all(effect.low == 0 and effect.estimate <= 0.05 for effect in effects)
        if how == "random":
            assert found[0].names == ("learning_rate",)
            assert found[0].total.low > 0.5
    assert all(count >= 9 for count in honest.values())


@pytest.mark.slow
@pytest.mark.parametrize("n_points", [MIN_POINTS, 50])
def test_values_that_are_all_chance_are_not_enough_data(n_points):
    for seed in range(20):
        y = np.random.default_rng((seed, 1)).normal(size=n_points)
        assert parameter_importance(PROBLEM, random_points(PROBLEM, n_points, seed), y) is None


def test_fewer_points_than_needed_are_not_enough_data():
    X = random_points(G_SPACE, MIN_POINTS, 0)
    y = [10 * params["x0"] for params in X]
    assert parameter_importance(G_SPACE, X, y) is not None
    assert parameter_importance(G_SPACE, X[1:], y[1:]) is None
    assert parameter_importance(G_SPACE, X, [*y[1:], math.nan]) is None
    assert parameter_importance(G_SPACE, [], []) is None


def test_equal_values_and_a_space_without_choice_are_not_enough_data():
    assert parameter_importance(G_SPACE, random_points(G_SPACE, 30, 0), [2.0] * 30) is None
    constant = Space({"x": Fixed(1)})
    assert parameter_importance(constant, [{"x": 1}] * 30, range(30)) is None


def test_a_group_explains_at_least_what_its_members_do_and_all_together_everything():
    X = random_points(G_SPACE, 80, 0)
    groups = [*([name] for name in G_SPACE), ["x0", "x1"], ["x2", "x3"], list(G_SPACE)]
    found = parameter_importance(G_SPACE, X, [g_function(p) for p in X], groups)
    totals = {importance.names: importance.total for importance in found}
    for group, own in product(totals, totals):
        if set(own) < set(group):
            # Both are integrals by points, exact to about a percent.
            assert totals[group].estimate >= totals[own].estimate - 0.01
    whole = found[0]
    assert whole.names == tuple(G_SPACE)
    assert (whole.main.low, whole.total.low) == pytest.approx((1.0, 1.0))


def test_estimates_lie_in_their_intervals_and_the_most_important_come_first():
    for seed in range(5):
        X = random_points(PROBLEM, 20, seed)
        y = [noisy_problem(np.random.default_rng(seed))(params) for params in X]
        found = parameter_importance(PROBLEM, X, y, seed=seed) or []
        for effect in [e for importance in found for e in (importance.main, importance.total)]:
            assert 0 <= effect.low <= effect.estimate <= effect.high <= 1
        totals = [importance.total.estimate for importance in found]
        assert totals == sorted(totals, reverse=True)


def test_the_unit_and_the_sign_of_values_make_no_difference():
    X = random_points(G_SPACE, 40, 0)
    y = np.array([g_function(params) for params in X])
    plain = parameter_importance(G_SPACE, X, y)
    assert parameter_importance(G_SPACE, X, -y, maximize=True) == plain
    assert parameter_importance(dict(G_SPACE), X, 4.0 * y) == plain


def test_values_that_exploded_or_are_missing_do_no_harm():
    X = random_points(G_SPACE, 63, 0)
    y = [g_function(params) for params in X[:60]]
    found = importance_by_name(G_SPACE, X, [*y, math.nan, math.inf, -math.inf])
    assert found == importance_by_name(G_SPACE, X[:60], y)
    exploded = importance_by_name(G_SPACE, X[:61], [*y, 1e30])
    assert exploded["x0"].total.low > 0.5


def test_of_very_many_points_evenly_picked_ones_are_used():
    X = random_points(G_SPACE, 10 * MAX_POINTS, 0)
    y = [g_function(params) for params in X]
    found = importance_by_name(G_SPACE, X, y)
    assert found["x0"].total.estimate == pytest.approx(G_TOTAL["x0"], abs=0.05)


def test_a_result_knows_its_importance():
    result = bayesian_optimization(g_function, G_SPACE, 25, patience=None, seed=0)
    assert result.importance == parameter_importance(G_SPACE, *result, seed=0)
    assert result.importance[0].names == ("x0",)


@pytest.mark.parametrize("group", [[], ["x9"], "x0"])
def test_groups_must_name_parameters(group):
    with pytest.raises(ValueError, match=r"name parameters among x0, x1, x2, x3, but got"):
        parameter_importance(G_SPACE, [], [], [group])


def test_points_and_values_must_fit():
    with pytest.raises(ValueError, match=r"got 2 points and values of shape \(1,\)"):
        parameter_importance(G_SPACE, [{}, {}], [1.0])
    with pytest.raises(SpaceError, match="x0"):
        parameter_importance(G_SPACE, [dict.fromkeys(G_SPACE, 2.0)] * 20, range(20))
