"""Refinement of a search space by the good points of a finished search.

A range is narrowed to where they lie, widened where most of them are at an end, and a parameter
that does not matter is held constant; see `decisions`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chromasonic.bayesopt.analysis.decisions import Action, Values, describe_range, recommend
from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.bayesopt.space import Parameter, Params, Space, Value
from chromasonic.bayesopt.space._conditions import parents_first


@dataclass(frozen=True)
class Decision:
    """Decision on one parameter, with its reason.

    Attributes:
        name: What it is called.
        action: What becomes of it.
        reason: Why, and what it is then, in one line.
        parameter: What it is then; None if it is dropped.
    """

    name: str
    action: Action
    reason: str
    parameter: Parameter | None

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@own_error_state()
def refine(
    space: Space,
    points: Sequence[Params],
    losses: Sequence[float],
    effects: Mapping[str, Interval] | None,
) -> list[Decision]:
    """Decides on each parameter, in the order of the space.

    A parameter on which others depend is not held constant for want of effect; one that depends
    on values that are left out is dropped.

    Args:
        space: What was searched.
        points: What was tried.
        losses: Their values, smaller is better; nan for one that has none, as it was stopped
            early or failed: it was tried all the same.
        effects: The total effect of each parameter, as `parameter_importance` finds it; None
            where there are not enough data.

    Raises:
        ValueError: If there are not as many points as losses.
        SpaceError: If a point is not one of the space.
    """
    if len(points) != len(losses):
        raise ValueError(
            "points and losses must have the same length, "
            f"but got {len(points)} points and {len(losses)} losses."
        )
    for point in points:
        space.validate(point)
    parents = {parent for parameter in space.values() for parent in parameter.when or {}}
    decisions = {}
    for name, parameter in space.items():
        values = Values.of(name, points, losses)
        effect = (effects or {}).get(name)
        action, reason, new = recommend(parameter, values, effect, has_children=name in parents)
        decisions[name] = Decision(name, action, reason, new)
    decisions = _with_something_to_search(space, decisions, effects or {})
    return list(_with_sound_conditions(space, decisions).values())


def _with_something_to_search(
    space: Space, decisions: dict[str, Decision], effects: Mapping[str, Interval]
) -> dict[str, Decision]:
    """The decisions, but for the most important one where all parameters would be constant."""
    searched = [name for name in space if space[name].n_values != 1]
    news = [decisions[name].parameter for name in searched]
    if not searched or any(new is not None and new.n_values != 1 for new in news):
        return decisions
    name = max(searched, key=lambda name: effects[name].estimate)
    reason = f"nothing else is left to search; keep {describe_range(space[name])}"
    return {**decisions, name: Decision(name, Action.KEEP, reason, space[name])}


def _with_sound_conditions(space: Space, decisions: dict[str, Decision]) -> dict[str, Decision]:
    """The decisions where no parameter waits for a value that its parent cannot have any more."""
    sound = dict(decisions)
    for name in parents_first(space):
        decision = sound[name]
        if decision.parameter is None or decision.parameter.when is None:
            continue
        when = {
            parent: [value for value in values if _can_be(sound[parent].parameter, value)]
            for parent, values in decision.parameter.when.items()
        }
        lost = next((parent for parent, values in when.items() if not values), None)
        if lost is None:
            parameter = replace(decision.parameter, when=when)
            sound[name] = replace(decision, parameter=parameter)
        else:
            needed = " or ".join(repr(value) for value in decision.parameter.when[lost])
            reason = f"it counts only where {lost} is {needed}, which is left out; drop it"
            sound[name] = Decision(name, Action.DROP, reason, None)
    return sound


def _can_be(parameter: Parameter | None, value: Value) -> bool:
    return parameter is not None and parameter.contains(value)
