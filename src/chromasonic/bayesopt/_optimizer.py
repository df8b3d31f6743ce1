"""The optimizer as a user drives it: ask for a point, evaluate it, tell its value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from threading import RLock
from typing import Any, Self, final, overload

from chromasonic.bayesopt.proposals import Proposer, Strategy
from chromasonic.bayesopt.space import Params, Space, Value
from chromasonic.bayesopt.surrogate import FittedSurrogate, Observation, Outcome
from chromasonic.errors import shown
from chromasonic.scalars import as_float, python_scalar

_STATE_VERSION = 1


@dataclass(frozen=True)
class Proposal:
    """A point to evaluate.

    Attributes:
        number: Its place in the order of proposals, from 0.
        params: Its values.
    """

    number: int
    params: dict[str, Value]


@final
class Optimizer:
    """Finds parameters of low value by a Gaussian process over the observations.

    Any number of points may run at once; they are taken into account. A failed point, and a
    value of nan or inf, teaches that the place is bad. Several threads may ask and tell.

    Args:
        space: A `Space`, or bounds as `Space.from_bounds` reads them.
        seed: Same seed, same proposals.
        n_initial: Points proposed before the surrogate is used, `initial_points` included; None:
            5, or more where a category decides between three or more sets of other parameters,
            so that each gets two.
        initial_design: 'latin_hypercube', 'sobol' or 'random'; all but the last begin with the
            middle of the space.
        acquisition: 'log_ei', 'ei', 'pi', 'ucb' or 'lcb'.
        xi: How far below the best a value must fall to count, in units of the objective.
        kappa: Standard deviations below the mean, for 'ucb' and 'lcb'.
        kernel: 'matern52', 'matern32', 'matern12' or 'rbf'.
        initial_points: Proposed first: what is already believed to be good.

    Raises:
        SpaceError: If the bounds make no sense or an initial point lies outside.
        ValueError: If an argument names something unknown or a number is out of range.
    """

    def __init__(
        self,
        space: Space | Mapping[str, object],
        *,
        seed: int = 0,
        n_initial: int | None = None,
        initial_design: str = "latin_hypercube",
        acquisition: str = "log_ei",
        xi: float = 0.0,
        kappa: float = 2.0,
        kernel: str = "matern52",
        initial_points: tuple[Params, ...] | list[Params] = (),
    ) -> None:
        self.space = space if isinstance(space, Space) else Space.from_bounds(space)
        self._seed = python_scalar(seed)
        self._strategy = Strategy(
            python_scalar(n_initial),
            initial_design,
            acquisition,
            python_scalar(xi),
            python_scalar(kappa),
            kernel,
            tuple(self.space.as_point(point) for point in initial_points),
        )
        self._proposer = Proposer(self.space, self._strategy, self._seed)
        self._observations: dict[int, Observation] = {}
        self._running: dict[int, dict[str, Value]] = {}
        self._curves: dict[int, dict[int, float]] = {}
        self._next = 0
        self._lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = RLock()

    @property
    def observations(self) -> list[Observation]:
        """Observations, in the order of proposals."""
        with self._lock:
            return [self._observations[number] for number in sorted(self._observations)]

    @property
    def running(self) -> list[Proposal]:
        """Proposals without a value yet."""
        with self._lock:
            return [Proposal(number, dict(params)) for number, params in self._running.items()]

    @overload
    def ask(self, n: None = None) -> Proposal: ...
    @overload
    def ask(self, n: int) -> list[Proposal]: ...
    def ask(self, n: int | None = None) -> Proposal | list[Proposal]:
        """The next point to evaluate, or a list of the next n.

        Raises:
            ValueError: If n is below 1.
        """
        if n is None:
            return self._ask()
        if n < 1:
            raise ValueError(f"n must be at least 1, but got {n!r}.")
        return [self._ask() for _ in range(n)]

    def tell(
        self,
        point: Proposal | Params,
        value: float | None = None,
        *,
        failed: bool = False,
        pruned: bool = False,
    ) -> None:
        """Adds the outcome of an evaluation.

        Args:
            point: A proposal, or parameters: those of the oldest such proposal that runs, else
                a point of the user's own.
            value: The objective, smaller is better; nan and inf count as bad.
            failed: There is no value, and the point is to be avoided.
            pruned: It was stopped early; what `report` said of it is compared with others.

        Raises:
            ValueError: If not exactly one of a value, `failed` and `pruned` is given (pruned
                may have a value, its last loss), or the proposal is not running.
            TypeError: If the value is not a number.
            SpaceError: If parameters are not a point of the space.
        """
        outcome = _outcome(value, failed, pruned)
        told = float("nan") if value is None else as_float(value)
        with self._lock:
            number, params = self._identify(point)
            curve = self._curves.pop(number, {})
            if pruned and value is not None:
                curve.setdefault(max(curve, default=1), told)
            self._running.pop(number, None)
            self._observations[number] = Observation(
                number, params, outcome, float("nan") if pruned else told, curve
            )

    def report(self, proposal: Proposal, epoch: int, loss: float) -> None:
        """Adds a loss to the learning curve of a running point.

        Args:
            proposal: A running one.
            epoch: Counted from 1.
            loss: The objective there.

        Raises:
            ValueError: If the proposal is not running.
        """
        with self._lock:
            if proposal.number not in self._running:
                raise _not_running(proposal.number)
            self._curves.setdefault(proposal.number, {})[int(epoch)] = as_float(loss)

    def surrogate(self) -> FittedSurrogate:
        """The model of the objective, in its own units.

        Raises:
            ValueError: If nothing was told yet.
        """
        with self._lock:
            return self._proposer.surrogate(self.observations)

    def state(self) -> dict[str, Any]:
        """The whole state of the optimizer, as JSON can hold it."""
        with self._lock:
            return self._state()

    def _state(self) -> dict[str, Any]:
        return {
            "version": _STATE_VERSION,
            "space": self.space.to_dict(),
            "seed": self._seed,
            "strategy": asdict(self._strategy),
            "next": self._next,
            "running": [
                {"number": n, "params": params, "curve": _pairs(self._curves.get(n, {}))}
                for n, params in self._running.items()
            ],
            "observations": [_as_json(observation) for observation in self.observations],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The optimizer that `state` described; its proposals are the same.

        Raises:
            ValueError: If the state is of another version.
        """
        if state.get("version") != _STATE_VERSION:
            raise ValueError(
                f"a state must have version {_STATE_VERSION}, but got {state.get('version')!r}. "
                "Use what Optimizer.state() returned, with the version that made it."
            )
        optimizer = cls(
            Space.from_dict(state["space"]), seed=state["seed"], **dict(state["strategy"])
        )
        optimizer._next = state["next"]
        for entry in state["running"]:
            optimizer._running[entry["number"]] = dict(entry["params"])
            if entry["curve"]:
                optimizer._curves[entry["number"]] = _curve(entry["curve"])
        for entry in state["observations"]:
            optimizer._observations[entry["number"]] = _from_json(entry)
        return optimizer

    def _ask(self) -> Proposal:
        with self._lock:
            number = self._next
            params = self._proposer.propose(self.observations, self._running, number)
            self._next += 1
            self._running[number] = params
            return Proposal(number, dict(params))

    def _identify(self, point: Proposal | Params) -> tuple[int, dict[str, Value]]:
        """Number and parameters of an evaluated point; a new number for a point of the user's."""
        if isinstance(point, Proposal):
            if point.number not in self._running:
                raise _not_running(point.number)
            return point.number, self._running[point.number]
        own_point = self.space.as_point(point)
        own = self.space.encode([own_point]).tobytes()
        for number, params in self._running.items():
            if self.space.encode([params]).tobytes() == own:
                return number, params
        number, self._next = self._next, self._next + 1
        return number, own_point


def _outcome(value: object, failed: bool, pruned: bool) -> Outcome:
    says_nothing = value is None and not (failed or pruned)
    if says_nothing or (failed and (pruned or value is not None)):
        raise ValueError(
            "tell needs a value, failed=True or pruned=True, and no two that contradict each "
            f"other, but got value={shown(value)}, failed={failed!r}, pruned={pruned!r}."
        )
    if value is not None and (isinstance(value, bool | str) or not hasattr(value, "__float__")):
        raise TypeError(
            f"a value must be a number, but got {shown(value)}. For a point without one use "
            "failed=True."
        )
    if failed:
        return Outcome.FAILED
    return Outcome.PRUNED if pruned else Outcome.COMPLETED


def _not_running(number: int) -> ValueError:
    return ValueError(
        f"a proposal must be running, but number {number} is not: it was told already, or comes "
        "from another optimizer."
    )


def _pairs(curve: Mapping[int, float]) -> list[list[Any]]:
    # JSON has neither integer keys nor nan; text has both.
    return [[epoch, repr(loss)] for epoch, loss in curve.items()]


def _curve(pairs: list[list[Any]]) -> dict[int, float]:
    return {int(epoch): float(loss) for epoch, loss in pairs}


def _as_json(observation: Observation) -> dict[str, Any]:
    return {
        "number": observation.number,
        "params": dict(observation.params),
        "outcome": str(observation.outcome),
        "value": repr(observation.value),
        "curve": _pairs(observation.curve),
    }


def _from_json(entry: Mapping[str, Any]) -> Observation:
    return Observation(
        entry["number"],
        dict(entry["params"]),
        Outcome(entry["outcome"]),
        float(entry["value"]),
        _curve(entry["curve"]),
    )
