import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from arena import Arena, outcome


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """A torch-free search to which nothing happens: how long it takes, and its outcome."""
    return _undisturbed(Arena(tmp_path_factory.mktemp("reference")))


@pytest.fixture(scope="session")
def melody_reference(tmp_path_factory):
    return _undisturbed(Arena(tmp_path_factory.mktemp("reference"), melody=True))


def _undisturbed(arena):
    began = os.times().elapsed
    arena.begin()
    assert arena.end() == 0, arena.log
    seconds = os.times().elapsed - began
    arena.check({})
    return seconds, outcome(arena.results())
