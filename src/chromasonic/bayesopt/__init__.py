"""A Gaussian process optimizer for hyperparameters, on numpy and scipy alone."""

from chromasonic.bayesopt.space import (
    Categorical,
    Fixed,
    Float,
    Integer,
    Ordinal,
    Parameter,
    Space,
)
from chromasonic.bayesopt.space_toml import read_space, space_from_toml, space_to_toml

__all__ = [
    "Categorical",
    "Fixed",
    "Float",
    "Integer",
    "Ordinal",
    "Parameter",
    "Space",
    "read_space",
    "space_from_toml",
    "space_to_toml",
]
