"""Damaged tune files: each comes back as tunes or with a reason, within 20 s and 2 GB."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fuzz import KINDS, damaged_file, fuzz


@pytest.mark.slow
def test_every_damaged_file_gives_tunes_or_a_reason(moments_seed):
    found = fuzz(1000, moments_seed)
    assert set(found) == set(KINDS)
    crashes = {name: outcome["crashes"] for name, outcome in found.items() if outcome["crashes"]}
    assert crashes == {}, f"seed {moments_seed}"
    # The damage is neither too little nor too much to show anything.
    outcomes = found["MIDI"]["outcomes"]
    assert outcomes.keys() & {"read", "read, mended"}
    assert len(outcomes) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_always_the_same(kind):
    assert damaged_file(kind, 7, 0) == damaged_file(kind, 7, 0)
    assert damaged_file(kind, 7, 0) != damaged_file(kind, 8, 0)
