import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from arena import Arena, outcome

CHRONICLE = pytest.StashKey[list[str]]()


def pytest_addoption(parser):
    parser.addoption("--injections", type=int, default=40, help="How many faults to inject.")
    parser.addoption("--faults-log", type=Path, help="Where to write what was injected.")
    parser.addoption("--faults-seed", type=int, help="Of the moments; drawn by default.")


@pytest.fixture(scope="session")
def faults_seed(request):
    chosen = request.config.getoption("--faults-seed")
    return random.SystemRandom().randrange(10**6) if chosen is None else chosen


@pytest.fixture(scope="session")
def chronicle(request, faults_seed):
    """Takes down what was injected and what came of it; a failure shows the seed."""
    lines = request.config.stash[CHRONICLE]
    lines.append(f"the moments are drawn from seed {faults_seed}")
    sys.stdout.write(lines[0] + "\n")
    return lines


def pytest_configure(config):
    config.stash[CHRONICLE] = []


def pytest_terminal_summary(terminalreporter, config):
    lines = config.stash[CHRONICLE]
    if not lines:
        return
    injected = Counter(line.split()[0].strip(",:") for line in lines[1:])
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(injected.items()))
    lines.append(f"{injected.total()} faults injected and survived: {counts}")
    terminalreporter.write_line(lines[-1])
    if file := config.getoption("--faults-log"):
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")


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
