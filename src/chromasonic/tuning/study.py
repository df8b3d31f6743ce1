"""Opening of studies: a new one, the old one continued, or a new one beside it."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from chromasonic.errors import StudyMismatch
from chromasonic.tuning.stored import Identity, require_stored

PREFIX = "chromasonic:"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Fingerprint:
    """Parts of a search that must stay the same for a study to go on.

    Attributes:
        parts: A JSON value for each thing that matters, by a name that people understand.
        acceptable: The names whose change may be accepted by `accept_changes`.
        hint: How to accept them, for the error message.
    """

    parts: Mapping[str, Any]
    acceptable: frozenset[str] = frozenset()
    hint: str = ""


def open_study(
    storage: BaseStorage,
    name: str,
    fingerprint: Fingerprint,
    *,
    maximize: bool = False,
    fresh: bool = False,
    accept_changes: bool = False,
) -> optuna.Study:
    """The newest study of that name, or a new one.

    Args:
        storage: Where it is kept.
        name: What the user calls it. Studies begun afresh are called `name~2`, `name~3`, ...
        fingerprint: The fingerprint that it must have.
        maximize: True if larger values are better.
        fresh: Begin a new one beside the old.
        accept_changes: Go on although an acceptable part of the fingerprint has changed.

    Raises:
        StudyMismatch: It has another fingerprint; the error names the difference.
    """
    newest = newest_name(storage, name)
    if newest is None or fresh:
        new_name = name if newest is None else f"{name}~{_generation(newest) + 1}"
        direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
        study = optuna.create_study(storage=storage, study_name=new_name, direction=direction)
        _store_fingerprint(study, fingerprint)
        return study
    study = optuna.load_study(storage=storage, study_name=newest)
    if attribute(study, "fingerprint") is None and not study.get_trials(deepcopy=False):
        # A driver died before it stored the fingerprint.
        _store_fingerprint(study, fingerprint)
    _require_same(study, fingerprint, accept_changes)
    return study


def newest_name(storage: BaseStorage, name: str) -> str | None:
    """The full name of the newest study begun as `name`, or None if there is none."""
    generation = re.compile(re.escape(name) + r"(~\d+)?")
    names = [
        study.study_name
        for study in storage.get_all_studies()
        if generation.fullmatch(study.study_name)
    ]
    return max(names, key=_generation, default=None)


def first_names(storage: BaseStorage) -> list[str]:
    """Names under which the studies of a storage were first begun."""
    return sorted({re.sub(r"~\d+$", "", s.study_name) for s in storage.get_all_studies()})


def identity(study: optuna.Study) -> str:
    """Identity of a study, different from all others, those of the same name included.

    Raises:
        StudyError: It was changed by hand: it names folders and must be 8 hexadecimal digits.
    """
    stored = attribute(study, "identity")
    if stored is not None:
        require_stored(stored, Identity, f"the identity of the study {study.study_name!r}")
    if stored is None:
        stored = secrets.token_hex(4)
        set_attribute(study, "identity", stored)
    return str(stored)


def set_attribute(study: optuna.Study, name: str, value: Any) -> None:
    """Stores a JSON value with the study."""
    study.set_user_attr(PREFIX + name, value)


def attribute(owner: optuna.Study | FrozenTrial, name: str, default: Any = None) -> Any:
    """A JSON value stored with a study or a trial."""
    return owner.user_attrs.get(PREFIX + name, default)


def settle_seed(study: optuna.Study, seed: int | None) -> int:
    """The seed of the study: the one it has, else `seed`, else one drawn here and kept.

    Raises:
        StudyMismatch: It was started with another one.
    """
    stored = attribute(study, "seed")
    if stored is not None and seed not in (None, stored):
        raise StudyMismatch(
            f"the study {study.study_name!r} was started with seed {stored}, but got {seed}. "
            "Leave the seed out to go on, or begin a new study with fresh (--fresh)."
        )
    if stored is None:
        stored = secrets.randbelow(2**31) if seed is None else seed
        set_attribute(study, "seed", stored)
    return int(stored)


def changed_parts(stored: Mapping[str, Any], fingerprint: Fingerprint) -> list[str]:
    """Names of the parts that differ from the stored ones."""
    wanted = _as_json(fingerprint)
    return [n for n in {**stored, **wanted} if not _are_same(stored.get(n), wanted.get(n))]


def differences(names: Sequence[str], stored: Mapping[str, Any], fingerprint: Fingerprint) -> str:
    """The stored and the present value of these parts, as text."""
    wanted = _as_json(fingerprint)
    return "; ".join(_difference(n, stored.get(n), wanted.get(n)) for n in names)


def _store_fingerprint(study: optuna.Study, fingerprint: Fingerprint) -> None:
    """Stores the schema version and, last, the fingerprint, which makes a study whole."""
    set_attribute(study, "schema_version", SCHEMA_VERSION)
    set_attribute(study, "fingerprint", _as_json(fingerprint))


def _as_json(fingerprint: Fingerprint) -> dict[str, Any]:
    """The parts as a database gives them back, tuples as lists."""
    parts: dict[str, Any] = json.loads(json.dumps(dict(fingerprint.parts)))
    return parts


def _are_same(one: Any, other: Any) -> bool:
    """True if two JSON values are equal, 1 and true not being so."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_are_same(one[n], other[n]) for n in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _generation(name: str) -> int:
    later = re.search(r"~(\d+)$", name)
    return int(later[1]) if later else 1


def _require_same(study: optuna.Study, fingerprint: Fingerprint, accept_changes: bool) -> None:
    stored = attribute(study, "fingerprint")
    if stored is None:
        raise StudyMismatch(
            f"the study {study.study_name!r} was not made by chromasonic. "
            "Choose another study name."
        )
    changed = changed_parts(stored, fingerprint)
    if accept_changes and fingerprint.acceptable.issuperset(changed):
        if changed:
            set_attribute(study, "fingerprint", _as_json(fingerprint))
        return
    if changed:
        hint = fingerprint.hint if fingerprint.acceptable.issuperset(changed) else ""
        raise StudyMismatch(
            f"the study {study.study_name!r} was started with another "
            f"{differences(changed, stored, fingerprint)}. "
            "Use what it was started with, begin a new one with fresh (--fresh), "
            f"or choose another output directory{hint}."
        )


def _difference(name: str, before: Any, now: Any) -> str:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        parts = [key for key in {**before, **now} if not _are_same(before.get(key), now.get(key))]
        return f"{name} ({', '.join(parts)})"
    if len(f"{before}{now}") > 60:
        return name
    return f"{name} (then {before}, now {now})"
