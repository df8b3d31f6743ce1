import numpy as np
import pytest

from chromasonic.bayesopt import Float, Optimizer, Space, fit_surrogate
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.surrogate._surrogates import Surrogates
from chromasonic.bayesopt.surrogate.observations import Observation, Outcome

PLANE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
POINTS = np.random.default_rng(0).random((24, 2))
NONE = np.empty((0, 2))


def surrogates():
    return Surrogates(Features(PLANE), "matern52")


def observed(value, failed=None, constraints=None):
    return [
        Observation(i, {}, Outcome.FAILED)
        if failed is not None and failed(u)
        else Observation(
            i,
            {},
            Outcome.COMPLETED,
            value=float(value(u)),
            constraints=() if constraints is None else tuple(constraints(u)),
        )
        for i, u in enumerate(POINTS)
    ]


def acquisition_function(observations, pending=NONE):
    return surrogates().acquisition_function(observations, POINTS, pending, "log_ei", 0.0, 2.0)


def test_a_point_among_failures_is_worth_less_than_one_among_successes():
    score = acquisition_function(observed(lambda u: u[1], failed=lambda u: u[0] > 0.6))
    good, bad = score(np.array([[0.3, 0.02], [0.95, 0.02]]))
    assert good > bad + 1.0


def test_a_point_that_probably_breaks_a_constraint_is_worth_less():
    score = acquisition_function(observed(lambda u: u[1], constraints=lambda u: [u[0] - 0.5]))
    kept, broken = score(np.array([[0.25, 0.02], [0.75, 0.02]]))
    assert kept > broken + 3.0


def test_improvement_is_measured_against_the_best_that_keeps_the_constraints():
    free = acquisition_function(observed(lambda u: u[0]))
    bound = acquisition_function(observed(lambda u: u[0], constraints=lambda u: [0.5 - u[0]]))
    assert bound.best > free.best + 0.5


def test_while_every_point_breaks_a_constraint_only_the_constraint_counts():
    rng = np.random.default_rng(2)
    score = acquisition_function(
        observed(lambda u: u[0], constraints=lambda u: [2 - u[1] + 0.1 * rng.normal()])
    )
    low, high = score(np.array([[0.5, 0.1], [0.5, 0.9]]))
    assert score.posterior is None
    assert high > low


def test_constraints_that_only_some_points_have_are_learned_from_these():
    mixed = [
        Observation(o.number, {}, o.outcome, o.value, constraints=(o.value - 0.5,) * (i % 2))
        for i, o in enumerate(observed(lambda u: u[0]))
    ]
    assert len(acquisition_function(mixed).constraints) == 1


def test_where_everything_is_the_same_there_is_nothing_to_maximise():
    assert acquisition_function(observed(lambda u: 1.0)) is None
    assert acquisition_function(observed(lambda u: 1.0, failed=lambda u: True)) is None
    assert surrogates().acquisition_function([], NONE, NONE, "log_ei", 0.0, 2.0) is None


def test_a_running_point_is_worth_less_than_before_it_ran():
    observations = observed(lambda u: (u[0] - 0.5) ** 2 + (u[1] - 0.5) ** 2)
    at = np.array([[0.5, 0.5]])
    assert (
        acquisition_function(observations, at)(at) < acquisition_function(observations)(at) - 1.0
    )


def test_anchors_are_the_best_that_keep_the_constraints():
    observations = observed(lambda u: u[0], constraints=lambda u: [0.5 - u[0]])
    anchors = surrogates().anchors(observations, POINTS, 3)
    expected = np.sort(POINTS[POINTS[:, 0] >= 0.5, 0])[:3]
    np.testing.assert_allclose(anchors[:, 0], expected)


def test_a_surrogate_needs_a_value():
    with pytest.raises(ValueError, match="at least one finite value"):
        surrogates().surrogate(observed(lambda u: 1.0, failed=lambda u: True), POINTS)


def test_the_fitted_surrogate_is_that_of_an_optimizer_that_was_told_the_same():
    optimizer = Optimizer(PLANE, seed=3)
    for number in range(12):
        proposal = optimizer.ask()
        x, y = proposal.params["x"], proposal.params["y"]
        if number == 5:
            optimizer.tell(proposal, failed=True)
        elif number == 8:
            optimizer.report(proposal, 1, x + 0.5)
            optimizer.tell(proposal, pruned=True)
        else:
            optimizer.report(proposal, 1, x + y + 0.5)
            optimizer.tell(proposal, x + y**2)
    expected = optimizer.surrogate().predict(POINTS, return_std=True)
    fitted = fit_surrogate(PLANE, optimizer.observations)
    np.testing.assert_array_equal(fitted.predict(POINTS, return_std=True), expected)


def test_a_surrogate_needs_a_finite_value():
    with pytest.raises(ValueError, match="needs at least one finite value"):
        fit_surrogate(PLANE, [Observation(0, {"x": 0.5, "y": 0.5}, Outcome.FAILED)])
