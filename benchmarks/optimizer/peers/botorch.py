"""BoTorch put together as its documentation advises: its default Gaussian process and log EI.

Five scrambled Sobol points, then a `SingleTaskGP` with its default priors and standardised
values, categories one-hot. Where the space is finite and small enough, every unseen point is
scored; elsewhere `optimize_acqf_mixed_alternating` searches. (`MixedSingleTaskGP`, whose Hamming
kernel has no prior, needs several times the time and was no better in a trial.)
"""

import itertools
import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import NumericToCategoricalEncoding
from botorch.optim import optimize_acqf_discrete, optimize_acqf_mixed_alternating
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor
from torch.nn.functional import one_hot
from torch.quasirandom import SobolEngine

from chromasonic.bayesopt import Categorical, Float, Space
from peers.coding import unit_values

SOBOL_POINTS = 5
MOST_ENUMERATED = 20_000

torch.set_num_threads(1)
warnings.filterwarnings("ignore", module="botorch")
warnings.filterwarnings("ignore", module="gpytorch")
warnings.filterwarnings("ignore", module="linear_operator")


class BoTorch:
    """Columns are places in the unit cube, and positions of categories."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._sobol = SobolEngine(len(space), scramble=True, seed=seed)
        self._X: list[list[float]] = []
        self._y: list[float] = []
        self._values = {
            i: [float(j) for j in range(len(parameter.choices))]
            if isinstance(parameter, Categorical)
            else unit_values(parameter)
            for i, parameter in enumerate(space.values())
            if not isinstance(parameter, Float)
        }
        self._categories = [i for i, p in enumerate(space.values()) if isinstance(p, Categorical)]

        counts = {i: len(self._values[i]) for i in self._categories}
        encoders = {i: partial(one_hot, num_classes=n) for i, n in counts.items()}
        self._one_hot = (
            NumericToCategoricalEncoding(len(space), counts, encoders) if counts else None
        )

    def ask(self) -> dict[str, Any]:
        """A Sobol point, or where log EI is highest."""
        if len(self._y) < SOBOL_POINTS:
            u = self._sobol.draw(1, dtype=torch.double)[0].tolist()
            return dict(self._space.decode([u])[0])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed * 1000 + len(self._y))
            return self._decoded(self._best_point())

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Keep the value."""
        row = self._space.encode([params])[0].tolist()
        for i, (name, parameter) in enumerate(self._space.items()):
            if isinstance(parameter, Categorical):
                row[i] = float(parameter.index(params[name]))
        self._X.append(row)
        self._y.append(value)

    def _best_point(self) -> Tensor:
        X = torch.tensor(self._X, dtype=torch.double)
        y = -torch.tensor(self._y, dtype=torch.double)[:, None]
        model = SingleTaskGP(X, y, input_transform=self._one_hot)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        acquisition = LogExpectedImprovement(model, best_f=y.max())
        unseen = self._unseen()
        if unseen is not None:
            return optimize_acqf_discrete(acquisition, q=1, choices=unseen)[0][0]
        return optimize_acqf_mixed_alternating(
            acquisition,
            self._bounds(),
            discrete_dims={i: v for i, v in self._values.items() if i not in self._categories},
            cat_dims={i: self._values[i] for i in self._categories},
        )[0][0]

    def _unseen(self) -> Tensor | None:
        """All points not yet evaluated; None if there are too many."""
        size = np.prod([float(len(values)) for values in self._values.values()])
        if len(self._values) < len(self._space) or size > MOST_ENUMERATED:
            return None
        seen = {tuple(row) for row in self._X}
        points = itertools.product(*self._values.values())
        return torch.tensor([p for p in points if p not in seen], dtype=torch.double)

    def _bounds(self) -> Tensor:
        """The smallest and largest number in each column, shape (2, d)."""
        ends = [self._values.get(i, [0.0, 1.0]) for i in range(len(self._space))]
        return torch.tensor([[v[0], v[-1]] for v in ends], dtype=torch.double).T

    def _decoded(self, x: Tensor) -> dict[str, Any]:
        row = x.tolist()
        for i in self._categories:
            row[i] = (row[i] + 0.5) / len(self._values[i])
        return dict(self._space.decode([row])[0])
