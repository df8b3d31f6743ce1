"""Faults at random moments: after each the study is whole, and the search reaches its end."""

import random
from contextlib import contextmanager
from functools import partial

import pytest
from arena import Arena, outcome

from faults import HARMLESS, INSIDE, OUTSIDE, TRIED_AGAIN, WITH_A_SERVER, endings, inside

KINDS = [*INSIDE, *HARMLESS, *OUTSIDE, *WITH_A_SERVER]
WITH_MELODIES = [
    *(kind for kind in INSIDE if kind != "half_suspended"),
    *("half_killed", "leave_thread", "driver_killed", "worker_killed", "ctrl_c", "disk_full"),
    "postgresql_killed",
]
"""Faults of a search of melody models, too; others would wait for minutes, or show no more."""


def pytest_generate_tests(metafunc):
    if {"kind", "number"} <= set(metafunc.fixturenames):
        n_injections = metafunc.config.getoption("--injections")
        cases = [(KINDS[i % len(KINDS)], i // len(KINDS)) for i in range(n_injections)]
        metafunc.parametrize(("kind", "number"), sorted(cases))


@pytest.mark.slow
def test_a_fault_costs_one_trial_at_most(
    kind, number, tmp_path, reference, chronicle, moments_seed, request
):
    longest_s, undisturbed = reference
    rng = random.Random(f"{moments_seed} {kind} {number}")
    happen, storage = _fault(kind, request)
    with arena_in(tmp_path, storage) as arena:
        before = happen(arena, rng, longest_s)
        arena.check(before)
        _compare(kind, arena, undisturbed)
        _take_down(chronicle, f"{kind} {number}", arena, before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_MELODIES)
def test_a_fault_costs_a_melody_search_one_trial_at_most(
    kind, tmp_path, melody_reference, chronicle, moments_seed, request
):
    longest_s, undisturbed = melody_reference
    rng = random.Random(f"{moments_seed} melody {kind}")
    happen, storage = _fault(kind, request)
    with arena_in(tmp_path, storage, melody=True) as arena:
        before = happen(arena, rng, longest_s)
        arena.check(before)
        _compare(kind, arena, undisturbed)
        _take_down(chronicle, f"{kind} of melodies", arena, before)


@contextmanager
def arena_in(tmp_path, storage, **options):
    arena = Arena(tmp_path / "arena", storage, **options)
    try:
        yield arena
    finally:
        arena.abandon()


def _fault(kind, request):
    """A fault, and the URL of its storage."""
    if kind in INSIDE or kind in HARMLESS:
        return inside(kind), None
    if kind not in WITH_A_SERVER:
        return OUTSIDE[kind], None
    server = request.getfixturevalue("postgresql")
    return partial(WITH_A_SERVER[kind], server=server), server.url(server.new_database())


def _compare(kind, arena, undisturbed):
    results = arena.results()
    if kind in INSIDE:
        assert arena.has_happened
        if INSIDE[kind] in TRIED_AGAIN and "had run other trials" in arena.log:
            assert outcome(results) == undisturbed
            return
        assert endings(results)[INSIDE[kind]] >= 1, arena.log
        unharmed = [trial for trial in outcome(results) if trial[1] != INSIDE[kind]]
        assert len(unharmed) >= len(undisturbed) - 1
    elif kind == "worker_stopped":
        assert endings(results)["timed_out"] <= 1
    else:
        assert outcome(results) == undisturbed


def _take_down(chronicle, what, arena, before):
    ends = dict(endings(arena.results()))
    chronicle.append(f"{what}: {len(before)} trials had ended when it was over, then {ends}")
