"""The search space: which values each parameter can take, and where they lie in the unit cube.

Symbols:
    u   a place in the unit interval [0, 1]
    k   number of values of a discrete parameter
    d   number of parameters, one column each
    X   points in the unit cube, shape (n, d); nan where a parameter is inactive
"""

from chromasonic.bayesopt.space._choices import Categorical, Fixed, Ordinal
from chromasonic.bayesopt.space._ranges import Float, Integer
from chromasonic.bayesopt.space._reading import parameter_from_dict
from chromasonic.bayesopt.space._space import Space
from chromasonic.bayesopt.space.parameter import Parameter
from chromasonic.bayesopt.space.values import Params, Value

__all__ = [
    "Categorical",
    "Fixed",
    "Float",
    "Integer",
    "Ordinal",
    "Parameter",
    "Params",
    "Space",
    "Value",
    "parameter_from_dict",
]
