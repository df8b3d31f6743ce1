"""A whole search in one call."""

import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from chromasonic.bayesopt._initial_design import design_named
from chromasonic.bayesopt._optimizer import Optimizer
from chromasonic.bayesopt._result import OptimizationResult, losses_of
from chromasonic.bayesopt.acquisition.functions import Matrix, Surrogate, Vector, acquisition_named
from chromasonic.bayesopt.acquisition.maximize import Effort, best_point
from chromasonic.bayesopt.analysis.stopping import (
    CONFIRMATIONS,
    StoppedBy,
    candidates,
    evaluations_without_improvement,
    expected_gain,
)
from chromasonic.bayesopt.arithmetic import own_arithmetic, own_error_state
from chromasonic.bayesopt.gp.kernels import kernel_named
from chromasonic.bayesopt.space import Params, Space, Value
from chromasonic.bayesopt.space.encoded import EncodedSpace
from chromasonic.bayesopt.space.values import is_integer, is_number, is_real
from chromasonic.errors import shown
from chromasonic.scalars import as_float, python_scalar

_N_ANCHORS = 5
_LEAST_STD = 1e-9  # relative to the largest
# A regressor may be slow to fit but is quick to predict: more candidates than gradients.
_EFFORT = Effort(n_random=1000, n_local=500, widths=(0.1, 0.03, 0.01, 0.003))


@own_error_state()
def sample_random_point(
    bounds: Mapping[str, object], rng: np.random.Generator | int | None = None
) -> dict[str, Value]:
    """A random point, uniform in the unit cube (on the logarithm, where the scale is one).

    Args:
        bounds: As `bayesian_optimization` reads them.
        rng: A generator or a seed; None: another point each time.

    Raises:
        SpaceError: If the bounds make no sense.
    """
    return Space.from_bounds(bounds).sample(np.random.default_rng(rng))


@own_error_state()
def find_next_point(
    gp: Surrogate,
    bounds: Mapping[str, object],
    y_observed: Sequence[float],
    acquisition: str = "ei",
    *,
    xi: float = 0.0,
    kappa: float = 2.0,
    rng: np.random.Generator | int | None = None,
) -> dict[str, Value]:
    """The point most worth evaluating next, by any regressor that knows how unsure it is.

    The acquisition is looked for at random points, around good ones and by climbing from the
    best, through `gp.predict` alone. Points that the regressor was fitted on do not come back
    where it tells them as `X_train_`, as Gaussian processes of scikit-learn and of chromasonic
    do, unless the space has no others; other regressors may meet them again.

    Args:
        gp: Fitted on `Space.from_bounds(bounds).encode(X_observed)` and losses to be minimised.
        bounds: As `bayesian_optimization` reads them. Where some parameter is conditional the
            regressor must be able to deal with nan.
        y_observed: The losses it was fitted on, in the same units.
        acquisition: 'ei', 'log_ei' (the same maximum), 'ucb', 'lcb' or 'pi'.
        xi: How much better a value must be to count, for 'ei', 'log_ei' and 'pi'.
        kappa: Standard deviations below the mean, for 'ucb' and 'lcb'.
        rng: A generator or a seed for the search; None: another search each time.

    Raises:
        SpaceError: If the bounds make no sense.
        ValueError: If no loss is finite or there is no such acquisition.
    """
    score_of = acquisition_named(acquisition)
    losses = np.asarray(y_observed, dtype=float)
    if not np.isfinite(losses).any():
        raise ValueError(
            f"y_observed must hold at least one finite loss, but got {list(y_observed)!r:.80}. "
            "Begin with points of sample_random_point."
        )
    best_f = float(losses[np.isfinite(losses)].min())
    space = Space.from_bounds(bounds)
    encoded, generator = EncodedSpace(space), np.random.default_rng(rng)

    def score(U: Matrix) -> Vector:
        mean, std = gp.predict(U, return_std=True)
        # A regressor may be certain, where the scores are not defined.
        least = _LEAST_STD * (float(np.max(std)) or 1.0)
        return score_of(mean, np.maximum(std, least), best_f, xi=xi, kappa=kappa).score

    known = _points_fitted_on(gp, len(space))
    pool = np.vstack([known, encoded.random(_EFFORT.n_random, generator)])
    mean, _ = gp.predict(pool, return_std=True)
    anchors = pool[np.argsort(mean, kind="stable")[:_N_ANCHORS]]
    taken = set(encoded.keys(known))
    best = best_point(encoded, score, anchors, taken, generator, _EFFORT)
    if best is None:
        best = best_point(encoded, score, anchors, set(), generator, _EFFORT)
    assert best is not None  # nothing was taken
    return space.decode(best[None])[0]


def _points_fitted_on(gp: Surrogate, d: int) -> Matrix:
    """The points a regressor says it was fitted on, shape (n, d); none if it does not."""
    points = np.asarray(getattr(gp, "X_train_", np.empty((0, d))), dtype=float)
    return points if points.ndim == 2 and points.shape[1] == d else np.empty((0, d))


_log = logging.getLogger(__name__)

# A random stream of its own, beside those of proposals and of the regret left.
_GAIN = 1


def bayesian_optimization(
    objective: Callable[[dict[str, Any]], float],
    bounds: Mapping[str, object],
    n_iterations: int = 50,
    n_initial: int = 5,
    acquisition: str = "ei",
    kernel: str = "matern52",
    initial_design: str = "latin_hypercube",
    patience: int | None = 10,
    target: float | None = None,
    maximize: bool = False,
    seed: int | None = None,
    callback: Callable[[OptimizationResult], object] | None = None,
    *,
    min_expected_gain: float | None = None,
    initial_points: Sequence[Params] = (),
    xi: float = 0.0,
    kappa: float = 2.0,
    verbose: bool = True,
) -> OptimizationResult:
    """The best parameters that `n_initial + n_iterations` evaluations find.

    How each bound was read is shown once at the beginning, and stands in the result, which
    `print` shows.

    Args:
        objective: Gets a dict of parameters and returns a number; nan and infinities count as
            failures: they teach where not to go.
        bounds: For each name a pair (low, high), a list of choices or a parameter type, as
            `Space.from_bounds` reads them; or a `Space`.
        n_iterations: Evaluations chosen by the model.
        n_initial: Evaluations before that; raised to the number of `initial_points`.
        acquisition: 'ei', 'log_ei' (the same maximum), 'ucb', 'lcb' or 'pi'.
        kernel: 'matern52', 'matern32', 'matern12' or 'rbf'.
        initial_design: 'latin_hypercube', 'sobol' or 'random'.
        patience: Stops when so many evaluations in a row, after the initial ones, found nothing
            better; None never does.
        target: Stops when a value is at least as good as this, in the user's sign.
        maximize: Whether higher is better.
        seed: Same seed, same proposals; None draws one, which the result holds.
        callback: Called with the result so far after each evaluation; True stops.
        min_expected_gain: Stops when the model has expected the evaluations left to gain less
            than this, in units of the objective, three times in a row after the initial ones
            (see `stopping.ExpectedGain`); None never does.
        initial_points: Evaluated first: what is already believed to be good.
        xi: How much better a value must be to count, for 'ei', 'log_ei' and 'pi'.
        kappa: Standard deviations that 'ucb' and 'lcb' look beyond the mean.
        verbose: Whether to show how bounds were read, unless they are a `Space` and so were
            read before: in the log of `chromasonic` where that takes INFO, else on standard
            error.

    Returns:
        Also after Ctrl-C, with what was evaluated until then.

    Raises:
        SpaceError: If the bounds make no sense or an initial point lies outside.
        ValueError: If an argument is out of range or names something unknown.
        TypeError: If the objective returns something that is not a number.
        Exception: What the objective or the callback raised; its attribute `result` holds the
            result so far.
    """
    _check_counts(n_iterations=n_iterations, n_initial=n_initial)
    _check_numbers(xi=xi, kappa=kappa)
    if patience is not None:
        _check_counts(patience=patience)
    if target is not None:
        _check_numbers(target=target)
    if min_expected_gain is not None and not (
        is_number(min_expected_gain) and min_expected_gain > 0
    ):
        raise ValueError(
            f"min_expected_gain must be a number above 0, but got {min_expected_gain!r}. "
            "Use None to go on whatever is expected."
        )
    if seed is not None and not (is_integer(seed) and seed >= 0):
        raise ValueError(f"seed must be None or a whole number from 0 on, but got {seed!r}.")
    acquisition_named(acquisition)
    design_named(initial_design)
    kernel_named(kernel)
    space = Space.from_bounds(bounds)
    search = _Search(
        space,
        int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed),
        bool(maximize),
        {
            "n_initial": max(int(n_initial), len(initial_points)),
            "initial_design": initial_design,
            "acquisition": acquisition,
            "xi": float(xi),
            "kappa": float(kappa),
            "kernel": kernel,
            "initial_points": tuple(space.as_point(point) for point in initial_points),
        },
    )
    if verbose and not isinstance(bounds, Space):
        _show_once(space)
    rules = _Rules(n_iterations, patience, target, min_expected_gain)
    try:
        while True:
            search.evaluate(objective)
            if callback is not None and _is_true(callback(search.result())):
                return search.result(StoppedBy.CALLBACK)
            if (stopped_by := search.reason_to_stop(rules)) is not None:
                return search.result(stopped_by)
    except KeyboardInterrupt:
        return search.result(StoppedBy.INTERRUPTED)
    except Exception as error:
        # The user's own class may refuse attributes.
        with suppress(Exception):
            error.result = search.result(StoppedBy.EXCEPTION)  # type: ignore[attr-defined]
        raise


def _show_once(space: Space) -> None:
    """Tells how bounds were read, to the log or to who has none."""
    lines = "\n".join(["bounds read as:", *(f"  {line}" for line in space.describe())])
    if _log.isEnabledFor(logging.INFO):
        _log.info(lines)
    else:
        sys.stderr.write(lines + "\n")


@dataclass(frozen=True)
class _Rules:
    """Stopping rules of a search, as the user set them."""

    n_iterations: int
    patience: int | None
    target: float | None
    min_expected_gain: float | None


class _Search:
    """Evaluations so far, and the optimizer that has them."""

    def __init__(
        self, space: Space, seed: int, maximize: bool, settings: Mapping[str, Any]
    ) -> None:
        self._space = space
        self._seed = seed
        self._maximize = maximize
        self._settings = settings
        self._optimizer = Optimizer(space, seed=seed, **settings)
        self._n_hopeless = 0
        # Pairs, so that Ctrl-C cannot come between a point and its value.
        self._observed: list[tuple[dict[str, Value], float]] = []

    def evaluate(self, objective: Callable[[dict[str, Any]], float]) -> None:
        """Ask for a point, evaluate it, tell its value."""
        proposal = self._optimizer.ask()
        y = as_value(objective(dict(proposal.params)))
        self._observed.append((proposal.params, y))
        loss = self._losses()[-1]
        if math.isfinite(loss):
            self._optimizer.tell(proposal, loss)
        else:
            self._optimizer.tell(proposal, failed=True)

    def result(self, stopped_by: StoppedBy | None = None) -> OptimizationResult:
        """A copy of what is known."""
        return OptimizationResult(
            [dict(params) for params, _ in self._observed],
            [y for _, y in self._observed],
            stopped_by,
            self._space,
            self._maximize,
            self._seed,
            self._settings,
        )

    def reason_to_stop(self, rules: _Rules) -> StoppedBy | None:
        """The first rule that says to stop after the last evaluation, if one does."""
        losses, n_initial = self._losses(), self._settings["n_initial"]
        left = n_initial + rules.n_iterations - len(losses)
        if rules.target is not None:
            highest_loss = -rules.target if self._maximize else rules.target
            if losses[-1] <= highest_loss:
                return StoppedBy.TARGET
        if left == 0:
            return StoppedBy.ITERATIONS
        stale = evaluations_without_improvement(losses, n_initial)
        if rules.patience is not None and stale >= rules.patience:
            return StoppedBy.PATIENCE
        if rules.min_expected_gain is not None and len(losses) >= n_initial:
            gain = self._expected_gain(left)
            hopeless = gain is not None and gain < rules.min_expected_gain
            self._n_hopeless = self._n_hopeless + 1 if hopeless else 0
            if self._n_hopeless >= CONFIRMATIONS:
                return StoppedBy.MIN_EXPECTED_GAIN
        return None

    @own_arithmetic()
    def _expected_gain(self, n_evaluations: int) -> float | None:
        losses = self._losses()
        pairs = zip(self._observed, losses, strict=True)
        points = [params for (params, _), loss in pairs if math.isfinite(loss)]
        if not points:
            return None
        surrogate = self._optimizer.surrogate()
        rng = np.random.default_rng((self._seed, len(losses), _GAIN))
        X = candidates(EncodedSpace(self._space), surrogate, self._space.encode(points), rng)
        return expected_gain(surrogate, X, len(points), rng).of(n_evaluations)

    def _losses(self) -> list[float]:
        return losses_of([y for _, y in self._observed], self._maximize)


def as_value(value: Any) -> float:
    """Converts the return value of an objective to a float.

    Raises:
        TypeError: If it is not a number; None, text and booleans are none.
    """
    native = python_scalar(value)
    if not is_real(native):
        raise TypeError(
            f"the objective must return a number, but it returned {shown(value)}. "
            "Return the value as a float; nan where there is none."
        )
    return as_float(native)


def _is_true(answer: object) -> bool:
    return isinstance(answer, bool | np.bool_) and bool(answer)


def _check_counts(**counts: object) -> None:
    for name, count in counts.items():
        if not is_integer(count) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, but got {count!r}.")


def _check_numbers(**numbers: object) -> None:
    for name, number in numbers.items():
        if not is_number(number):
            raise ValueError(f"{name} must be a finite number, but got {number!r}.")
