"""The methods that are compared, each behind the same two questions.

A peer is imported only when it is asked for, so that one that is not installed is in no one's
way.
"""

from importlib import import_module
from typing import Any, Protocol, cast

from chromasonic.bayesopt import Space

PEERS = {
    "random": "RandomSearch",
    "optuna_tpe": "OptunaTPE",
    "optuna_gp": "OptunaGP",
    "skopt": "ScikitOptimize",
    "bayesian_optimization": "BayesianOptimizationPeer",
    "hyperopt": "HyperoptTPE",
    "smac": "SMAC",
    "smac_eager": "EagerSMAC",
    "botorch": "BoTorch",
    "hebo": "HEBOPeer",
    "chromasonic": "Chromasonic",
    "chromasonic_sampler": "ChromasonicSampler",
}
"""The class of each peer, in the module of the peer's name."""

KNOW_CONDITIONS = (
    "random",
    "optuna_tpe",
    "optuna_gp",
    "hyperopt",
    "smac",
    "chromasonic",
    "chromasonic_sampler",
)
"""Those that can be told, or find out, when there is a parameter."""


class Peer(Protocol):
    """Proposes points one by one and is told the value of each before the next."""

    def ask(self) -> dict[str, Any]:
        """The next point to evaluate."""
        ...

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Take note of the value, to be minimised, of the point asked for last."""
        ...


def make_peer(name: str, space: Space, seed: int) -> Peer:
    """A fresh peer of that name.

    Raises:
        ImportError: Its library is not installed.
    """
    return cast(Peer, getattr(import_module(f"peers.{name}"), PEERS[name])(space, seed))
