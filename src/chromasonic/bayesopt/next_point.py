"""The two steps of a search, for loops of one's own: a random point, and the next best one."""

from collections.abc import Mapping, Sequence

import numpy as np

from chromasonic.bayesopt.acquisition import Matrix, Surrogate, Vector, acquisition_named
from chromasonic.bayesopt.lattice import Lattice
from chromasonic.bayesopt.maximize import Effort, best_point
from chromasonic.bayesopt.space import Space, Value

_N_ANCHORS = 5
# A regressor may be slow to fit but is quick to predict: more candidates than gradients.
_EFFORT = Effort(n_random=1000, n_local=500, widths=(0.1, 0.03, 0.01, 0.003))


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
    # Where an improvement is next to impossible only its logarithm still tells points apart.
    score_of = acquisition_named("log_ei" if acquisition == "ei" else acquisition)
    losses = np.asarray(y_observed, dtype=float)
    if not np.isfinite(losses).any():
        raise ValueError(
            f"y_observed must hold at least one finite loss, but got {list(y_observed)!r:.80}. "
            "Begin with points of sample_random_point."
        )
    best_f = float(losses[np.isfinite(losses)].min())
    space = Space.from_bounds(bounds)
    lattice, generator = Lattice(space), np.random.default_rng(rng)

    def score(U: Matrix) -> Vector:
        mean, std = gp.predict(U, return_std=True)
        return score_of(mean, std, best_f, xi=xi, kappa=kappa)

    known = _points_fitted_on(gp, len(space))
    pool = np.vstack([known, lattice.random(_EFFORT.n_random, generator)])
    mean, _ = gp.predict(pool, return_std=True)
    anchors = pool[np.argsort(mean, kind="stable")[:_N_ANCHORS]]
    taken = set(lattice.keys(known))
    best = best_point(lattice, score, anchors, taken, generator, _EFFORT)
    if best is None:
        best = best_point(lattice, score, anchors, set(), generator, _EFFORT)
    assert best is not None  # nothing was taken
    return space.decode(best[None])[0]


def _points_fitted_on(gp: Surrogate, d: int) -> Matrix:
    """The points a regressor says it was fitted on, shape (n, d); none if it does not."""
    points = np.asarray(getattr(gp, "X_train_", np.empty((0, d))), dtype=float)
    return points if points.ndim == 2 and points.shape[1] == d else np.empty((0, d))
