"""Single parameters: a value as Optuna has it inside, as a space has it, and as users get it.

Symbols:
    internal  Optuna's own number for a value: of a choice its place in the list
    inside    what the space has: a place in a list or a range, or a float in [0, 1]
    outside   what the objective gets
"""

import math
from numbers import Real
from typing import Any, Protocol, final

from optuna.distributions import BaseDistribution, CategoricalDistribution

from chromasonic.bayesopt import Categorical, Float, Integer
from chromasonic.bayesopt.space import Parameter, Value
from chromasonic.tuning.sampling.number_axes import Number, number_axis


class Axis(Protocol):
    """One parameter of a study in a space.

    Attributes:
        distribution: All values it may have in the study; None if each trial has its own.
        parameter: What it is in the space.
    """

    distribution: BaseDistribution | None
    parameter: Parameter

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """In the space what Optuna has of what was asked for; of a number beyond it the end."""

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """A value of the space for the objective, within what it asks for."""


def axis_of(distribution: BaseDistribution) -> Axis:
    """The axis for values of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return ChoiceAxis(distribution)
    assert isinstance(distribution, Number)
    return number_axis(distribution)


@final
class ChoiceAxis:
    """A list to choose from: numbers by their order, anything else without one.

    It works on the places of choices in the list, for choices may be equal to each other without
    being the same, or unequal to themselves.
    """

    def __init__(self, distribution: CategoricalDistribution) -> None:
        choices: Any = distribution.choices
        # Optuna finds the first of equal choices again, and never another.
        distinct = [i for i, c in enumerate(choices) if distribution.to_internal_repr(c) == i]
        ordered = len(distinct) > 1 and all(_is_number(choice) for choice in choices)
        self._order = sorted(distinct, key=lambda i: choices[i]) if ordered else distinct
        self._place = {choice: place for place, choice in enumerate(self._order)}
        self.distribution: BaseDistribution | None = distribution
        self.parameter: Parameter = (
            Integer(0, len(distinct) - 1) if ordered else Categorical(tuple(range(len(distinct))))
        )

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """The place of a choice."""
        return self._place[int(internal)]

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The choice at a place."""
        assert isinstance(asked, CategoricalDistribution)
        return asked.choices[self._order[value]]


@final
class MovingAxis:
    """A range that is another one from trial to trial; a value is where it lies in its own.

    Such a range mostly depends on other values of the trial. In the space of the places all
    points can be had; in that of the numbers many could not, and a model would long for them.
    """

    distribution: BaseDistribution | None = None
    parameter: Parameter = Float(0.0, 1.0)

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """Where a number lies in the range that was asked for."""
        if asked.single():
            return 0.5
        axis = axis_of(asked)
        return axis.parameter.to_unit(axis.inside(internal, asked))

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The number that lies there in the range that is asked for."""
        axis = axis_of(asked)
        return axis.outside(axis.parameter.from_unit(value), asked)


def _is_number(choice: object) -> bool:
    return isinstance(choice, Real) and not isinstance(choice, bool) and not math.isnan(choice)
