"""Models that are trained for every evaluation; their best value is the best any method sees.

All are deterministic: folds, weights and batches come from fixed seeds.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from chromasonic.melody_generation.data import VOCAB_SIZE, load_corpus
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.tuning.objective import Trial
from problems.memory import Remembered
from problems.problem import Params, Problem

# Trainings are cut short on purpose.
warnings.filterwarnings("ignore", category=ConvergenceWarning)

FOLDS = KFold(3, shuffle=True, random_state=0)
N_DIGITS = 600
N_TUNES = 60
NUM_EPOCHS = 2
DIVERGED = 40.0  # above the log loss of a network that is certain and always wrong


def svm_breast_cancer(params: Params) -> float:
    """The error of a support vector machine, over three folds."""
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), SVC(**params))
    return 1 - float(np.mean(cross_val_score(model, X, y, cv=FOLDS)))


def svr_diabetes(params: Params) -> float:
    """The unexplained share of the variance, over three folds."""
    X, y = load_diabetes(return_X_y=True)
    # Some polynomial kernels would go on for minutes.
    model = make_pipeline(StandardScaler(), SVR(**params, max_iter=20_000))
    scaled = (y - y.mean()) / y.std()
    return 1 - float(np.mean(cross_val_score(model, X, scaled, cv=FOLDS)))


def boosting_diabetes(params: Params) -> float:
    """The unexplained share of the variance of boosted trees, over three folds."""
    X, y = load_diabetes(return_X_y=True)
    model = GradientBoostingRegressor(**params, random_state=0)
    return 1 - float(np.mean(cross_val_score(model, X, y, cv=FOLDS)))


def mlp_digits(params: Params) -> float:
    """The log loss of a small network on half of the digits, after ten epochs on the others."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X[:N_DIGITS] / 16, y[:N_DIGITS], test_size=0.5, random_state=0
    )
    model = MLPClassifier(
        hidden_layer_sizes=[params["units"]] * params["layers"],
        activation=params["activation"],
        solver=params["solver"],
        alpha=params["alpha"],
        batch_size=params["batch_size"],
        learning_rate_init=params["learning_rate"],
        max_iter=10,
        random_state=0,
    )
    try:
        model.fit(X_train, y_train)
    except ValueError:
        # scikit-learn refuses weights that have run away.
        return DIVERGED
    return float(np.nan_to_num(log_loss(y_test, model.predict_proba(X_test)), nan=DIVERGED))


def melody_lstm(params: Params) -> float:
    """The lower validation loss of two epochs on 60 tunes, in nats per note."""
    objective = melody_objective()
    return min(epoch.loss for epoch in objective(params, Trial(number=0, seed=0)))


@cache
def melody_objective() -> MelodyObjective:
    """The training that `chromasonic` itself tunes."""
    corpus = load_corpus(N_TUNES)
    melodies = Melodies.from_data(corpus.train, corpus.validation, VOCAB_SIZE)
    kind = OutputKind.EVERY_POSITION
    return MelodyObjective(LSTMMelodyModel, kind, melodies, NUM_EPOCHS, torch.device("cpu"))


def live(
    function: Callable[[Params], float],
    space: Mapping[str, Parameter],
    n_random: int = 200,
    group: str = "live",
) -> Problem:
    """A problem of that function's name whose values are kept on disk."""
    name = function.__name__
    return Problem(name, group, Space(space), Remembered(name, function), None, None, n_random)


PROBLEMS = [
    live(svm_breast_cancer, {"C": Float(1e-3, 1e3, log=True), "gamma": Float(1e-6, 10, log=True)}),
    live(
        svr_diabetes,
        {
            "kernel": Categorical(["rbf", "poly", "sigmoid"]),
            "C": Float(1e-4, 1e2, log=True),
            "gamma": Float(1e-5, 1.0, log=True),
            "epsilon": Float(1e-3, 1.0, log=True),
        },
    ),
    live(
        boosting_diabetes,
        {
            "learning_rate": Float(1e-3, 1.0, log=True),
            "n_estimators": Integer(5, 80, log=True),
            "max_depth": Integer(1, 6),
            "min_samples_leaf": Integer(1, 60, log=True),
            "subsample": Float(0.2, 1.0),
            "max_features": Float(0.1, 1.0),
        },
    ),
    live(
        mlp_digits,
        {
            "learning_rate": Float(1e-5, 1.0, log=True),
            "alpha": Float(1e-6, 10.0, log=True),
            "batch_size": Ordinal([16, 32, 64, 128]),
            "units": Integer(4, 64, log=True),
            "layers": Integer(1, 3),
            "activation": Categorical(["logistic", "tanh", "relu"]),
            "solver": Categorical(["sgd", "adam"]),
        },
    ),
    live(
        melody_lstm,
        {
            "learning_rate": Float(1e-4, 1e-1, log=True),
            "batch_size": Ordinal([1, 2, 4, 8, 16]),
            "hidden_size": Integer(16, 128, log=True),
            "embedding_dim": Integer(8, 64, log=True),
            "dropout": Float(0.0, 0.6),
            "weight_decay": Float(1e-4, 1.0, log=True),
        },
        n_random=100,
    ),
]
