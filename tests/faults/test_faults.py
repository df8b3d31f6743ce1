"""Faults at random moments: after each the study is whole, and the search reaches its end."""

import random

import pytest
from arena import Arena, outcome

from faults import HARMLESS, INSIDE, endings, inside, postgresql_killed, worker_stopped

KINDS = [*INSIDE, *HARMLESS, "worker_stopped", "postgresql_killed"]


def pytest_generate_tests(metafunc):
    if {"kind", "number"} <= set(metafunc.fixturenames):
        n_injections = metafunc.config.getoption("--injections")
        cases = [(KINDS[i % len(KINDS)], i // len(KINDS)) for i in range(n_injections)]
        metafunc.parametrize(("kind", "number"), sorted(cases))


@pytest.mark.slow
def test_a_fault_costs_one_trial_at_most(
    kind, number, tmp_path, reference, chronicle, faults_seed, request
):
    longest_s, undisturbed = reference
    rng = random.Random(f"{faults_seed} {kind} {number}")
    storage = None
    if kind in INSIDE:
        happen = inside(kind)
    elif kind == "worker_stopped":
        happen = worker_stopped
    elif kind == "postgresql_killed":
        server = request.getfixturevalue("postgresql")
        storage = server.url(server.new_database())

        def happen(arena, rng, longest_s):
            return postgresql_killed(arena, rng, longest_s, server)
    else:
        happen = HARMLESS[kind]
    arena = Arena(tmp_path / "arena", storage)
    before = happen(arena, rng, longest_s)
    arena.check(before)
    results = arena.results()
    _compare(kind, arena, results, undisturbed)
    chronicle.append(
        f"{kind} {number}: {len(before)} trials had ended before, then {dict(endings(results))}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["driver_killed", "worker_killed", "ctrl_c", *INSIDE])
def test_a_fault_costs_a_melody_search_one_trial_at_most(
    kind, tmp_path, melody_reference, chronicle, faults_seed
):
    longest_s, undisturbed = melody_reference
    rng = random.Random(f"{faults_seed} melody {kind}")
    arena = Arena(tmp_path / "arena", melody=True)
    before = (inside(kind) if kind in INSIDE else HARMLESS[kind])(arena, rng, longest_s)
    arena.check(before)
    results = arena.results()
    _compare(kind, arena, results, undisturbed)
    chronicle.append(f"{kind}, melody: then {dict(endings(results))}")


def _compare(kind, arena, results, undisturbed):
    if kind in INSIDE:
        assert arena.has_happened
        assert endings(results)[INSIDE[kind]] >= 1, arena.log
        unharmed = [trial for trial in outcome(results) if trial[1] != INSIDE[kind]]
        assert len(unharmed) >= len(undisturbed) - 1
    elif kind == "worker_stopped":
        assert endings(results)["timed_out"] <= 1
    else:
        assert outcome(results) == undisturbed
