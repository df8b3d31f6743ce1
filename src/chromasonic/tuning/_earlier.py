"""Trials of an earlier search that a new study starts from."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from chromasonic.bayesopt import Fixed, Space
from chromasonic.bayesopt.analysis.decisions import DOES_NOT_MATTER
from chromasonic.bayesopt.space import Parameter, Value
from chromasonic.bayesopt.space.values import same
from chromasonic.errors import StudyMismatch
from chromasonic.tuning._optuna_private import storage_of, study_id_of
from chromasonic.tuning.distributions import distribution_of, to_optuna
from chromasonic.tuning.learning_curve import curve_to_json
from chromasonic.tuning.records import SearchResult, TrialRecord
from chromasonic.tuning.stored import StoredEarlier, require_stored
from chromasonic.tuning.study import (
    PREFIX,
    Fingerprint,
    attribute,
    changed_parts,
    differences,
    set_attribute,
)

_NUMBER = "earlier_number"
# Up to here they are stored in a few seconds.
_MANY = 50


def fitting_trials(earlier: SearchResult, space: Space) -> list[TrialRecord]:
    """The trials of an earlier search that would be trials of one over `space`.

    Every parameter must be in range, and none unknown. One that is held constant now may have
    had another value only if that does not matter.
    """
    misfit = _misfits(earlier, space)
    return [trial for trial in earlier.trials if trial.number not in misfit]


def require_comparable(
    earlier: SearchResult, fingerprint: Fingerprint, *, accept_changes: bool
) -> None:
    """Does nothing where an earlier search measured the same, only elsewhere in space.

    Args:
        earlier: What it found.
        fingerprint: Of the new search.
        accept_changes: Whether parts whose change is acceptable may differ.

    Raises:
        StudyMismatch: Its values do not stand beside those of the new search.
    """
    if not earlier.fingerprint:
        raise StudyMismatch(
            "an earlier search must tell what it was started with, but this one does not. "
            "Take the result of tune or optimize, or of load_result."
        )
    changed = [name for name in changed_parts(earlier.fingerprint, fingerprint) if name != "space"]
    if accept_changes and fingerprint.acceptable.issuperset(changed):
        return
    if changed:
        hint = fingerprint.hint if fingerprint.acceptable.issuperset(changed) else ""
        raise StudyMismatch(
            f"the earlier search {earlier.get('study_name')!r} was started with another "
            f"{differences(changed, earlier.fingerprint, fingerprint)}. "
            f"Use what it was started with, or leave out earlier (--from){hint}."
        )


def take_over(
    study: optuna.Study,
    space: Space,
    earlier: SearchResult | None,
    on_wait: Callable[[str], None] = lambda line: None,
) -> None:
    """Gives a new study the trials of an earlier search that fit; one that has begun keeps its.

    Each trial is stored whole, so that a search that is killed on the way goes on with the next.

    Args:
        study: The study, which nobody else drives.
        space: What it searches.
        earlier: What the earlier search has found; None to take over nothing.
        on_wait: Told in one line of many trials, which take a while.

    Raises:
        StudyMismatch: The study has begun with other trials, or without any.
    """
    plan = _stored_plan(study)
    has_begun = attribute(study, "begun") is not None
    if earlier is None:
        if plan is not None and not has_begun:
            raise _mismatch(study, plan)
        return
    if plan is None and not has_begun:
        plan = _plan_takeover(earlier, space)
        set_attribute(study, "earlier", plan)
    if plan is None or plan["identity"] != earlier.identity:
        raise _mismatch(study, plan)
    if has_begun:
        return
    there = {attribute(trial, _NUMBER) for trial in study.get_trials(deepcopy=False)}
    records = {record.number: record for record in earlier.trials}
    missing = [records[number] for number in plan["trials"] if number not in there]
    if len(missing) >= _MANY:
        on_wait(f"taking over {len(missing)} trials of {plan['study_name']}")
    for record in missing:
        trial = _as_trial(record, earlier, space)
        storage_of(study).create_new_trial(study_id_of(study), trial)


def n_trials_from_earlier(study: optuna.Study) -> int:
    """Number of a study's first trials that come from an earlier search."""
    plan = _stored_plan(study)
    return len(plan["trials"]) if plan else 0


def describe_earlier(study: optuna.Study) -> dict[str, Any]:
    """Description of the earlier search for the result files; empty if there is none."""
    if (plan := _stored_plan(study)) is None:
        return {}
    return {
        "earlier": {
            "study_name": plan["study_name"],
            "storage": plan["storage"],
            "trials": len(plan["trials"]),
            "of": plan["of"],
            "misfits": plan["misfits"],
        }
    }


def _stored_plan(study: optuna.Study) -> dict[str, Any] | None:
    plan: dict[str, Any] | None = attribute(study, "earlier")
    if plan is not None:
        require_stored(plan, StoredEarlier, "the earlier search of the study")
    return plan


def _plan_takeover(earlier: SearchResult, space: Space) -> dict[str, Any]:
    """The trials to take over, fixed even if the earlier search goes on."""
    misfits = _misfits(earlier, space)
    return {
        "identity": earlier.identity,
        "study_name": earlier.get("study_name"),
        "storage": earlier.get("storage"),
        "trials": [trial.number for trial in earlier.trials if trial.number not in misfits],
        "of": len(earlier.trials),
        "misfits": dict(Counter(misfits.values()).most_common()),
    }


def _mismatch(study: optuna.Study, plan: Mapping[str, Any] | None) -> StudyMismatch:
    if plan is None:
        begun, way_on = "without an earlier search", "Leave out earlier (--from) to go on"
    else:
        begun = f"from the search {plan['study_name']!r} in {plan['storage']}"
        way_on = "Give that one as earlier (--from)"
    return StudyMismatch(
        f"the study {study.study_name!r} was begun {begun}. "
        f"{way_on}, or begin a new study with fresh (--fresh)."
    )


def _misfits(earlier: SearchResult, space: Space) -> dict[int, str]:
    """The trials that do not fit, by number, each with a parameter that is in the way."""
    free = _free_constants(earlier, space)
    found = {trial.number: _misfit(trial.params, space, free) for trial in earlier.trials}
    return {number: name for number, name in found.items() if name is not None}


def _misfit(params: Mapping[str, Value], space: Space, free: set[str]) -> str | None:
    point = space.with_constants(params)
    active = space.active(point)
    for name in [*active, *point]:
        if name not in active or name not in point or not space[name].contains(point[name]):
            return name
        if name not in free and not same(params[name], point[name]):
            return name
    return None


def _free_constants(earlier: SearchResult, space: Space) -> set[str]:
    """The parameters held constant that may have had any value in the earlier search."""
    before: Mapping[str, Parameter] = earlier.space or {}
    constants = {name: p.value for name, p in space.items() if isinstance(p, Fixed)}
    held = {
        name
        for name, value in constants.items()
        if isinstance(known := before.get(name), Fixed) and same(known.value, value)
    }
    if not any(name in before for name in constants.keys() - held):
        return held
    effects = {effect.name: effect.total.high for effect in earlier.importance or ()}
    return held | {n for n in constants if effects.get(n, math.inf) <= DOES_NOT_MATTER}


def _as_trial(record: TrialRecord, earlier: SearchResult, space: Space) -> FrozenTrial:
    """A trial of an earlier search as one of the new study."""
    curve = list(record.learning_curve)
    if curve and record.n_parameters is not None:
        metrics = {**curve[0].metrics, "n_parameters": record.n_parameters}
        curve[0] = replace(curve[0], metrics=metrics)
    origin = record.origin or {
        "study_name": earlier.get("study_name"),
        "storage": earlier.get("storage"),
        "trial": record.number,
    }
    attributes = {
        "params": record.params,
        "epochs": curve_to_json(curve),
        "ending": record.ending,
        "reason": record.reason,
        "settings": {**record.settings, "from": origin},
        _NUMBER: record.number,
    }
    searched = {n: v for n, v in record.params.items() if not isinstance(space[n], Fixed)}
    return create_trial(
        state=TrialState[record.state],
        value=_optuna_value(record),
        params={name: _as_suggested(space[name], value) for name, value in searched.items()},
        distributions={name: distribution_of(space[name]) for name in searched},
        intermediate_values={row.epoch: row.loss for row in curve},
        user_attrs={PREFIX + name: value for name, value in attributes.items()},
    )


def _optuna_value(record: TrialRecord) -> float | None:
    """The value as Optuna keeps it: of a pruned trial its last loss."""
    if record.state == TrialState.COMPLETE.name:
        return record.value
    curve = record.learning_curve
    if record.state == TrialState.PRUNED.name and curve and not math.isnan(curve[-1].loss):
        return float(curve[-1].loss)
    return None


def _as_suggested(parameter: Parameter, value: Value) -> Value:
    """The value as the space writes it, 2 and not 2.0, and as Optuna stores it."""
    if parameter.n_values is None:
        return value
    return to_optuna(parameter, parameter.from_unit(parameter.to_unit(value)))
