"""Refinement of a search space from the result of a search."""

from dataclasses import dataclass

from chromasonic.bayesopt import Space, space_to_toml
from chromasonic.bayesopt.analysis.refinement import Decision, refine
from chromasonic.errors import StudyError
from chromasonic.tuning._earlier import fitting_trials
from chromasonic.tuning.records import SearchResult, TrialRecord


@dataclass(frozen=True)
class Refinement:
    """The next space, with the decision on each parameter.

    Attributes:
        space: What to search next.
        decisions: What became of each parameter, in the order of the old space.
        fitting_trials: The trials that a search over the new space can start from.
    """

    space: Space
    decisions: tuple[Decision, ...]
    fitting_trials: tuple[TrialRecord, ...]

    def to_toml(self) -> str:
        """The space as TOML, each table under the reason why it is so.

        Raises:
            SpaceError: If a value is None, which TOML cannot hold.
        """
        reasons = {decision.name: decision.reason for decision in self.decisions}
        return space_to_toml(self.space, reasons)


def refine_space(result: SearchResult) -> Refinement:
    """The space to search next, by where the good trials of a search lie.

    A range is narrowed where the best fifth of the trials lie within it, widened where most of
    them are at an end, and a parameter that surely does not matter is held constant. With fewer
    than 15 trials nothing is narrowed or held constant. `tune` and `optimize` take the space, and
    `earlier=result` to start from the trials that fit it.

    Args:
        result: Result of the search, finished or not.

    Raises:
        StudyError: The result does not tell what was searched.
    """
    if (space := result.space) is None:
        raise StudyError(
            "a result must tell which space was searched, but this one does not. "
            "Take the result of tune or optimize, or of load_result."
        )
    effects = {effect.name: effect.total for effect in result.importance or ()} or None
    decisions = refine(space, *result.observations(), effects)
    new = {d.name: d.parameter for d in decisions if d.parameter is not None}
    refined = Space(new)
    return Refinement(refined, tuple(decisions), tuple(fitting_trials(result, refined)))
