"""Test functions; `x` has shape (d,) in the function's own box unless said otherwise."""

import math

import numpy as np

from problems.problem import Params

# Coefficients of Hartmann (1973): peaks of weight ALPHA at P (times 1e-4), widths A.
ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN3_A = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
HARTMANN3_P = np.array(
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
)
HARTMANN6_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HARTMANN6_P = np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(x: np.ndarray) -> float:
    """Three equal minima of 0.397887 on [-5, 10] x [0, 15]."""
    bend = x[1] - 5.1 / (4 * np.pi**2) * x[0] ** 2 + 5 / np.pi * x[0] - 6
    return float(bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10)


def hartmann3(x: np.ndarray) -> float:
    """Minimum -3.86278 on the unit cube."""
    return float(-ALPHA @ np.exp(-np.sum(HARTMANN3_A * (x - 1e-4 * HARTMANN3_P) ** 2, axis=1)))


def hartmann6(x: np.ndarray) -> float:
    """Minimum -3.32237 on the unit cube."""
    return float(-ALPHA @ np.exp(-np.sum(HARTMANN6_A * (x - 1e-4 * HARTMANN6_P) ** 2, axis=1)))


def ackley(x: np.ndarray) -> float:
    """Minimum 0 at 0, amid many local ones."""
    bowl = 20 * (1 - math.exp(-0.2 * math.sqrt(np.mean(x**2))))
    return float(bowl + math.e - math.exp(np.mean(np.cos(2 * np.pi * x))))


def levy(x: np.ndarray) -> float:
    """Minimum 0 at 1."""
    w = 1 + (x - 1) / 4
    inner = np.sum((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2))
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return float(np.sin(np.pi * w[0]) ** 2 + inner + last)


def rosenbrock(x: np.ndarray) -> float:
    """Minimum 0 at 1, along a bent valley."""
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def learning_rate_valley(params: Params) -> float:
    """A loss of 0.4 at best: flat where the rate is too small, exploding where it is too large.

    The best rate grows with the root of the batch size and falls with momentum, as that of SGD.
    """
    batch_size, momentum = params["batch_size"], params["momentum"]
    best_rate = 0.02 * math.sqrt(batch_size / 32) * (1 - momentum) / 0.2
    decades = math.log10(params["learning_rate"] / best_rate)
    too_small = 1.9 * (1 - math.exp(-((decades / 1.5) ** 2)))
    too_large = math.expm1(min(4 * max(decades, 0.0), 12.0)) / 10
    decay = 0.05 * (math.log10(params["weight_decay"]) + 4.3) ** 2
    others = 0.03 * math.log2(batch_size / 32) ** 2 + 0.5 * (momentum - 0.8) ** 2
    return 0.4 + too_small + too_large + decay + others


def mixed_network(params: Params) -> float:
    """A loss of 0.2 at best, over categories, integers and real numbers that depend on another.

    The best learning rate depends on the optimizer, the best dropout on the width.
    """
    optimizer_loss, log_rate = {
        "sgd": (0.05, -1.2),
        "momentum": (0.02, -2.2),
        "adam": (0.0, -3.1),
        "rmsprop": (0.03, -3.4),
    }[params["optimizer"]]
    activation_loss = {"tanh": 0.04, "relu": 0.01, "gelu": 0.0}[params["activation"]]
    octaves = math.log2(params["units"] / 192)
    best_dropout = min(max(0.25 + 0.08 * octaves, 0.0), 0.6)
    too_wide = 0.1 * (1 - math.exp(-(octaves**2) / 4))
    too_deep = 0.02 * (params["layers"] - 3) ** 2 * (1.5 if params["activation"] == "tanh" else 1)
    rate = 0.6 * math.tanh(0.5 * (math.log10(params["learning_rate"]) - log_rate) ** 2)
    dropout = 1.2 * (params["dropout"] - best_dropout) ** 2
    return 0.2 + optimizer_loss + activation_loss + too_wide + too_deep + rate + dropout
