"""Spaces where one choice decides which other parameters there are.

Four functions, whose branches have a best value each and parameters of their own; and the choice
of a scikit-learn model together with its parameters, for two data sets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from problems.live import FOLDS, live
from problems.problem import Params, Problem

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
MOST_ITERATIONS = 5_000


@dataclass(frozen=True)
class Branches:
    """A function of a choice, of shared parameters and of those of the chosen branch.

    Each branch has a lowest value of its own, in 0 (one of them) to 0.6. The loss on top of it
    grows with the weighted squared distance of the parameters, shared ones included, from the
    branch's best point; from 1 on it hardly grows any more.

    Args:
        name: Of the problem; all that is random comes from `seed`.
        sizes: How many parameters each branch has of its own.
        n_shared: How many all have.
        seed: Of offsets, best points and weights.
    """

    name: str
    sizes: tuple[int, ...]
    n_shared: int
    seed: int

    def problem(self) -> Problem:
        """The problem; its best value is 0."""
        rng = np.random.default_rng(self.seed)
        names = [f"branch{i}" for i in range(len(self.sizes))]
        shared = {f"shared{j}": drawn_parameter(rng) for j in range(self.n_shared)}
        own = {
            branch: {
                f"{branch}_{j}": drawn_parameter(rng, when={"branch": [branch]})
                for j in range(size)
            }
            for branch, size in zip(names, self.sizes, strict=True)
        }
        offsets = dict(zip(names, rng.permutation(np.linspace(0, 0.6, len(names))), strict=True))
        wells = {branch: drawn_well({**shared, **own[branch]}, rng) for branch in names}
        space = Space({"branch": Categorical(names), **shared, **merged(own)})

        def noiseless(params: Params) -> float:
            branch = params["branch"]
            return float(offsets[branch]) + wells[branch](params)

        return Problem(self.name, "conditional", space, noiseless, 0.0)


def drawn_parameter(
    rng: np.random.Generator, when: Mapping[str, list[str]] | None = None
) -> Parameter:
    """A third of them logarithmic, the others linear, whole, ordered or a category."""
    kind = rng.choice(["log", "log", "linear", "integer", "ordered", "category"])
    match str(kind):
        case "log":
            return Float(1e-5, 1.0, log=True, when=when)
        case "linear":
            return Float(0.0, 1.0, when=when)
        case "integer":
            return Integer(1, 12, when=when)
        case "ordered":
            return Ordinal([8, 16, 32, 64, 128, 256], when=when)
        case _:
            return Categorical(["a", "b", "c"], when=when)


def drawn_well(
    parameters: Mapping[str, Parameter], rng: np.random.Generator
) -> Callable[[Params], float]:
    """0 at a random point, 1 far from it."""
    best = {name: p.from_unit(float(rng.random())) for name, p in parameters.items()}
    weights = {name: float(rng.lognormal(0.5, 1.0)) for name in parameters}

    def depth(params: Params) -> float:
        distance = 0.0
        for name, parameter in parameters.items():
            if isinstance(parameter, Categorical):
                gap = 0.3 * (params[name] != best[name])
            else:
                gap = parameter.to_unit(params[name]) - parameter.to_unit(best[name])
            distance += weights[name] * gap**2
        return 1 - float(np.exp(-2 * distance))

    return depth


def merged(own: Mapping[str, Mapping[str, Parameter]]) -> dict[str, Parameter]:
    """All branches' parameters."""
    return {name: parameter for branch in own.values() for name, parameter in branch.items()}


def classifier_cancer(params: Params) -> float:
    """The chosen classifier's area above the ROC curve on breast cancer data, over three folds."""
    X, y = load_breast_cancer(return_X_y=True)
    return 1 - cross_validated(chosen(params, CLASSIFIERS), params, X, y, "roc_auc")


def regressor_diabetes(params: Params) -> float:
    """The unexplained share of the variance by the chosen regressor, over three folds."""
    X, y = load_diabetes(return_X_y=True)
    scaled = (y - y.mean()) / y.std()
    return 1 - cross_validated(chosen(params, REGRESSORS), params, X, scaled, "r2")


def chosen(params: Params, models: Mapping[str, Callable[..., object]]) -> object:
    """The model with its own parameters, whose names begin with its name."""
    prefix = params["model"] + "_"
    own = {name.removeprefix(prefix): v for name, v in params.items() if name.startswith(prefix)}
    return models[params["model"]](**own)


def cross_validated(
    model: object, params: Params, X: np.ndarray, y: np.ndarray, scoring: str
) -> float:
    """The mean score, no lower than -10."""
    pipeline = make_pipeline(SCALERS[params["scaler"]](), model)
    score = float(np.mean(cross_val_score(pipeline, X, y, cv=FOLDS, scoring=scoring)))
    return max(score, -10.0)


CLASSIFIERS: dict[str, Callable[..., object]] = {
    "svm": lambda **own: SVC(max_iter=MOST_ITERATIONS, **own),
    "logistic": lambda **own: LogisticRegression(max_iter=200, **own),
    "knn": KNeighborsClassifier,
    "forest": lambda **own: RandomForestClassifier(n_estimators=20, random_state=0, **own),
    "boosting": lambda **own: GradientBoostingClassifier(random_state=0, **own),
    "bayes": GaussianNB,
}
REGRESSORS: dict[str, Callable[..., object]] = {
    "svr": lambda **own: SVR(max_iter=MOST_ITERATIONS, **own),
    "elastic_net": ElasticNet,
    "knn": KNeighborsRegressor,
    "forest": lambda **own: RandomForestRegressor(n_estimators=20, random_state=0, **own),
    "boosting": lambda **own: GradientBoostingRegressor(random_state=0, **own),
    "kernel_ridge": lambda **own: KernelRidge(kernel="rbf", **own),
}


def only(model: str, parameters: Mapping[str, Callable[..., Parameter]]) -> dict[str, Parameter]:
    """Parameters that there are for one model alone."""
    when = {"model": [model]}
    return {f"{model}_{name}": make(when=when) for name, make in parameters.items()}


def real(low: float, high: float, log: bool = False) -> Callable[..., Parameter]:
    """A real number that still lacks its condition."""
    return lambda when: Float(low, high, log=log, when=when)


def whole(low: int, high: int, log: bool = False) -> Callable[..., Parameter]:
    """An integer that still lacks its condition."""
    return lambda when: Integer(low, high, log=log, when=when)


def either(*choices: str) -> Callable[..., Parameter]:
    """A category that still lacks its condition."""
    return lambda when: Categorical(list(choices), when=when)


NEIGHBOURS = {
    "n_neighbors": whole(1, 80, log=True),
    "weights": either("uniform", "distance"),
    "p": whole(1, 3),
}
FOREST = {
    "max_depth": whole(1, 12),
    "min_samples_leaf": whole(1, 50, log=True),
    "max_features": real(0.1, 1.0),
}
BOOSTING = {
    "learning_rate": real(1e-3, 1.0, log=True),
    "n_estimators": whole(5, 60, log=True),
    "max_depth": whole(1, 5),
    "subsample": real(0.2, 1.0),
}

PROBLEMS = [
    Branches("branches3", (3, 5, 4), 2, seed=3).problem(),
    Branches("branches4", (2, 6, 4, 3), 3, seed=4).problem(),
    Branches("branches6", (4, 2, 7, 3, 5, 9), 2, seed=6).problem(),
    Branches("branches8", (3, 1, 6, 2, 8, 4, 5, 3), 1, seed=8).problem(),
    live(
        classifier_cancer,
        {
            "model": Categorical(list(CLASSIFIERS)),
            "scaler": Categorical(list(SCALERS)),
            **only("svm", {"C": real(1e-3, 1e3, log=True), "gamma": real(1e-5, 10.0, log=True)}),
            **only("logistic", {"C": real(1e-5, 1e4, log=True)}),
            **only("knn", NEIGHBOURS),
            **only("forest", FOREST),
            **only("boosting", BOOSTING),
            **only("bayes", {"var_smoothing": real(1e-10, 1.0, log=True)}),
        },
        group="conditional",
    ),
    live(
        regressor_diabetes,
        {
            "model": Categorical(list(REGRESSORS)),
            "scaler": Categorical(list(SCALERS)),
            **only(
                "svr",
                {
                    "C": real(1e-3, 1e2, log=True),
                    "gamma": real(1e-5, 1.0, log=True),
                    "epsilon": real(1e-3, 1.0, log=True),
                },
            ),
            **only(
                "elastic_net", {"alpha": real(1e-5, 10.0, log=True), "l1_ratio": real(0.0, 1.0)}
            ),
            **only("knn", NEIGHBOURS),
            **only("forest", FOREST),
            **only("boosting", BOOSTING),
            **only(
                "kernel_ridge",
                {"alpha": real(1e-4, 1e2, log=True), "gamma": real(1e-5, 1.0, log=True)},
            ),
        },
        group="conditional",
    ),
]
