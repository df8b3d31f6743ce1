"""Importance of parameters: shares of the objective's variance, with intervals.

The shares of variance of functions drawn from the surrogate's posterior give the effects; their
spread holds what is not known of the function, of the kernel, and of the integrals. A flexible
model gives everything a little, so that estimate and lower end are above 0 only where the data
are not explained as well without the parameter.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from chromasonic.bayesopt._initial_design import latin_hypercube
from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.bayesopt.gp.covariance import LENGTH_SCALE_BOUNDS, StationaryFamily
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.gp.hyperparameters import (
    NOISE_BOUNDS,
    Prior,
    TrainingData,
    best_hyperparameters,
    log_likelihood,
)
from chromasonic.bayesopt.gp.kernels import KERNELS
from chromasonic.bayesopt.gp.posterior import Posterior
from chromasonic.bayesopt.observed import is_maximized
from chromasonic.bayesopt.space import Params, Space
from chromasonic.bayesopt.space.encoded import EncodedSpace
from chromasonic.bayesopt.surrogate.targets import winsorize_and_standardize

Array = NDArray[np.float64]


@final
class Sensitivity:
    """Sobol indices of functions, by correlations over samples of the cube.

    Args:
        f: The functions.
        n: Size of each sample; errors fall with its root.
        d: Number of columns.
        rng: Draws the samples.
    """

    def __init__(
        self, f: Callable[[Array], Array], n: int, d: int, rng: np.random.Generator
    ) -> None:
        self._f = f
        self._A, self._B = np.hsplit(latin_hypercube(n, 2 * d, rng), 2)
        self._f_A, self._f_B = f(self._A), f(self._B)

    def indices(self, columns: list[int]) -> Array:
        """Main and total effect of these columns together on each function, shape (2, k).

        Points that share these columns alone correlate by the main effect, points that share
        all others by 1 less the total one. A and B have something in common by chance; as in a
        regression of f(M) on f(A) and f(B), what each gives is what the other does not.

        Source: Janon et al. (2014), Asymptotic normality and efficiency of two Sobol index
            estimators, equation 6.
        """
        M = self._A.copy()
        M[:, columns] = self._B[:, columns]
        f_M = self._f(M)
        own, others = _correlation(self._f_B, f_M), _correlation(self._f_A, f_M)
        chance = _correlation(self._f_A, self._f_B)
        left = 1.0 - chance**2
        return np.array([(own - others * chance) / left, 1.0 - (others - own * chance) / left])


def _correlation(a: Array, b: Array) -> Array:
    """Of values with the same distribution, along the last axis."""
    mean = 0.5 * (a.mean(axis=-1) + b.mean(axis=-1))
    variance = 0.5 * (a**2 + b**2).mean(axis=-1) - mean**2
    covariance = (a * b).mean(axis=-1) - mean**2
    ratio: Array = covariance / variance
    return ratio


# With fewer, intervals reach from almost nothing to almost everything.
MIN_POINTS = 15
# More do not narrow the intervals, and time grows with the cube.
MAX_POINTS = 200
_N_KERNELS = 12
_N_FUNCTIONS = 8  # of each kernel
_N_FREQUENCIES = 192
_N_POINTS = 384
_STEP = 1e-3
_KERNEL = KERNELS["matern52"]
_LOW, _HIGH = 0.025, 0.975
_LEAST_PROBABILITY = 0.95


@dataclass(frozen=True)
class ParameterImportance:
    """Main and total effect of a parameter, or of a group: shares of the objective's variance.

    The estimate of an effect is from 0 (nothing) to 1 (everything), and 0 where it is more
    likely nothing than not. Its lower end is 0 unless the data need the parameter; the upper end
    is how much it may be if they do.

    Attributes:
        names: The parameters.
        main: The share that they explain alone.
        total: The same and what they explain together with others.
    """

    names: tuple[str, ...]
    main: Interval
    total: Interval


@own_arithmetic()
def parameter_importance(
    bounds: Mapping[str, object],
    X_observed: Sequence[Params],
    y_observed: Sequence[float],
    groups: Sequence[Sequence[str]] | None = None,
    *,
    maximize: bool | None = None,
    seed: int = 0,
) -> list[ParameterImportance] | None:
    """The importance of each parameter or group, the most important first.

    The share is of the noiseless objective over the whole space, as the surrogate expects it, a
    conditional parameter counting as nothing where it is inactive. Values that exploded count as
    the worst of the others. An objective rougher than the points can show looks as if parameters
    acted together: total effects are then too high, and intervals hold them less often.

    Args:
        bounds: Where the points come from: a `Space`, or bounds as `Space.from_bounds` reads
            them.
        X_observed: What was evaluated. Of more than `MAX_POINTS`, evenly picked ones are used.
        y_observed: Their values; those that are not finite are left out.
        groups: Names that are judged together; None: each parameter alone. Constants are left
            out of the answer.
        maximize: Whether higher is better; None: as `y_observed` says if it comes from a result,
            else False.
        seed: Of the functions drawn.

    Returns:
        None if there are not enough data: fewer than `MIN_POINTS` finite values, or so few for
        so much noise that all may be chance.

    Raises:
        SpaceError: If the bounds make no sense or a point lies outside.
        ValueError: If a group is empty or has an unknown name, or there are not as many points
            as values.

    Source: Sobol (2001), Global sensitivity indices for nonlinear mathematical models; Le
        Gratiet, Cannamela and Iooss (2014), A Bayesian approach for global sensitivity analysis
        of (multifidelity) computer codes, for indices of posterior draws; George and McCulloch
        (1993), Variable selection via Gibbs sampling, for the idea of weighing by inclusion.
    """
    space = Space.from_bounds(bounds)
    names = [(name,) for name in space] if groups is None else [tuple(group) for group in groups]
    _check_groups(space, names)
    y = np.asarray(y_observed, dtype=float)
    if y.shape != (len(X_observed),):
        raise ValueError(
            "X_observed and y_observed must have the same length, "
            f"but got {len(X_observed)} points and values of shape {y.shape}."
        )
    sign = -1.0 if is_maximized(y_observed, maximize) else 1.0
    kept = np.flatnonzero(np.isfinite(y)).tolist()
    if len(kept) > MAX_POINTS:
        kept = [kept[i] for i in np.linspace(0, len(kept) - 1, MAX_POINTS).astype(int)]
    if len(kept) < MIN_POINTS:
        return None
    z = winsorize_and_standardize(sign * y[kept], winsorize=False).z
    groups_that_vary = [group for group in names if any(space[n].n_values != 1 for n in group)]
    if not (groups_that_vary and z.any()):
        return None
    study = _Study(space, space.encode([X_observed[i] for i in kept]), z, seed)
    if study.probability_that_any_matters() < _LEAST_PROBABILITY:
        return None
    found = [study.importance(group) for group in groups_that_vary]
    return sorted(found, key=lambda i: (i.total.estimate, i.total.high), reverse=True)


class _Study:
    """The surrogate of the data, and what functions drawn from it do over the cube."""

    def __init__(self, space: Space, U: Array, z: Array, seed: int) -> None:
        self._names = list(space)
        self._varying = [name for name in space if space[name].n_values != 1]
        features = Features(space)
        self._data = TrainingData(features(U), z, np.zeros(len(z)))
        self._groups = features.groups
        self._family = StationaryFamily(_KERNEL, features.groups)
        start = Prior(features.n_groups).start
        self._best, self._evidence = _fit(self._family, self._data, start.theta)
        rng = np.random.default_rng(seed)
        self._probabilities: dict[tuple[str, ...], float] = {}
        self._probabilities = {(name,): self._probability_of((name,)) for name in self._varying}
        self._unlikely = np.array([p < 0.5 for p in self._probabilities.values()])
        thetas = _posterior_draws(self._family, self._best, self._data, rng)
        self._all = [self._sensitivity(theta, features, space, rng) for theta in thetas]
        # What many parameters are given though they do nothing, those that matter would lack.
        reduced = [_without(theta, self._unlikely) for theta in thetas]
        self._likely = [self._sensitivity(theta, features, space, rng) for theta in reduced]

    def probability_that_any_matters(self) -> float:
        """Of a model with the likely parameters against one where all values are chance.

        Source: Chen and Chen (2008), Extended Bayesian information criteria for model selection
            with large model spaces, for what choosing k of d costs.
        """
        n, d = len(self._data.y), len(self._varying)
        chosen = np.flatnonzero(~self._unlikely)
        evidence = self._evidence_with(chosen) if len(chosen) else self._evidence
        k = len(chosen) or d
        chance = -0.5 * n * (1.0 + np.log(2.0 * np.pi))
        return _probability(evidence - chance - np.log(math.comb(d, k)), k + 1, n)

    def importance(self, group: tuple[str, ...]) -> ParameterImportance:
        """The effects of a group, weighed by how likely it has one at all."""
        columns = [self._names.index(name) for name in group]
        of_members = max(self._probabilities.get((name,), 0.0) for name in group)
        matters = max(self._probability_of(group), of_members)
        drawn = self._likely if of_members >= 0.5 else self._all
        main, total = np.hstack([sensitivity.indices(columns) for sensitivity in drawn])
        return ParameterImportance(group, _effect(main, matters), _effect(total, matters))

    def _sensitivity(
        self, theta: Array, features: Features, space: Space, rng: np.random.Generator
    ) -> Sensitivity:
        """Sensitivity of functions drawn with these hyperparameters, at points of their own."""
        covariance = self._family.at(theta[:-1])
        posterior = Posterior(covariance, float(np.exp(theta[-1])), self._data)
        prior = covariance.draw_functions(_N_FUNCTIONS, _N_FREQUENCIES, rng)
        draw = posterior.functions(prior, rng)
        encoded = EncodedSpace(space)

        def f(raw: Array) -> Array:
            return draw(features(encoded.snap(raw)))

        return Sensitivity(f, _N_POINTS, len(space), rng)

    def _probability_of(self, group: tuple[str, ...]) -> float:
        """Of the model with the group against the one without, even before the data."""
        if group in self._probabilities:
            return self._probabilities[group]
        own = self._length_scales_of(group)
        others = np.delete(np.arange(len(self._varying)), own)
        gain = self._evidence - self._evidence_with(others)
        return _probability(gain, len(own), len(self._data.y))

    def _evidence_with(self, places: NDArray[np.intp]) -> float:
        """Log likelihood of a model that has these length scales alone."""
        kept = np.isin(self._groups, places)
        _, renumbered = np.unique(self._groups[kept], return_inverse=True)
        data = replace(self._data, features=self._data.features[:, kept])
        start = self._best[[0, *(1 + places), -1]]
        return _fit(StationaryFamily(_KERNEL, renumbered), data, start)[1]

    def _length_scales_of(self, group: tuple[str, ...]) -> list[int]:
        return [place for place, name in enumerate(self._varying) if name in group]


def _fit(family: StationaryFamily, data: TrainingData, start: Array) -> tuple[Array, float]:
    """The best theta and the log likelihood with it."""
    theta = best_hyperparameters(family, data, Prior(len(start) - 2), [start])
    return theta, log_likelihood(family, theta, data)[0]


def _probability(gain: float, n_parameters: int, n: int) -> float:
    """Of a model that has this much more evidence, by so many parameters more; even before.

    Source: Schwarz (1978), Estimating the dimension of a model: log(n) / 2 a parameter.
    """
    return float(expit(gain - 0.5 * n_parameters * np.log(n)))


def _posterior_draws(
    family: StationaryFamily, theta: Array, data: TrainingData, rng: np.random.Generator
) -> list[Array]:
    """Draws of theta from its posterior in Laplace's approximation around the best one.

    Source: MacKay (2003), Information Theory, Inference, and Learning Algorithms, chapter 27.
    """
    prior = Prior(len(theta) - 2)

    def slope(theta: Array) -> Array:
        by_theta: Array = log_likelihood(family, theta, data)[1] + prior.log_density(theta)[1]
        return by_theta

    steps = _STEP * np.eye(len(theta))
    curvature = np.array([slope(theta - step) - slope(theta + step) for step in steps])
    precision, axes = np.linalg.eigh((curvature + curvature.T) / (4.0 * _STEP))
    # The prior alone has this much; what is less is a best at a bound or a numerical error.
    std = 1.0 / np.sqrt(np.maximum(precision, 0.25))
    draws = theta + (rng.standard_normal((_N_KERNELS, len(theta))) * std) @ axes.T
    limits = np.vstack([family.bounds, np.log(NOISE_BOUNDS)])
    return [np.clip(draw, *limits.T) for draw in draws]


def _without(theta: Array, left_out: NDArray[np.bool_]) -> Array:
    """Theta with the longest length scale for these parameters, which then count for nothing."""
    changed = theta.copy()
    changed[1:-1][left_out] = np.log(LENGTH_SCALE_BOUNDS[1])
    return changed


def _effect(shares: Array, matters: float) -> Interval:
    """Quantiles of shares that are 0 unless the parameter matters; the last of those if it does.

    Source: Barbieri and Berger (2004), Optimal predictive model selection, for the median: what
        is not more likely than not to matter is estimated as 0.
    """
    probability = np.array([_LOW, 0.5])
    present = np.maximum(probability - (1.0 - matters), 0.0) / max(matters, 0.5)
    low, middle = np.where(present > 0.0, np.quantile(shares, present), 0.0)
    # An integral by points may fall a little outside of what is possible.
    ends = np.clip([middle, low, np.quantile(shares, _HIGH)], 0.0, 1.0)
    return Interval(*ends.tolist())


def _check_groups(space: Mapping[str, object], groups: Sequence[tuple[str, ...]]) -> None:
    for group in groups:
        unknown = [name for name in group if name not in space]
        if unknown or not group:
            raise ValueError(
                f"a group must name parameters among {', '.join(space)}, but got {group!r}."
            )
