"""Nodes of a Ray cluster killed at random moments: the search ends as if nothing had happened."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("ray_faults.py")
ALONE = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
LONGEST_S = 6.0
"""As long as a search takes there: connecting, importing and eight trials."""

AT_MOST_S_EACH = 120


@pytest.fixture(scope="module")
def n_killed(request):
    """One of fifteen injections is one of these, and two at least."""
    return max(2, request.config.getoption("--injections") // 15)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_node_that_is_killed_costs_no_trial(n_killed, reference, chronicle, moments_seed):
    _, undisturbed = reference
    pytest.importorskip("ray")
    # Ray puts sockets below it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "tmp").mkdir()
        child = subprocess.run(
            [
                *ALONE,
                sys.executable,
                SCRIPT,
                home,
                str(n_killed),
                str(moments_seed),
                str(LONGEST_S),
            ],
            env={**os.environ, "HOME": folder, "TMPDIR": f"{folder}/tmp", "OMP_NUM_THREADS": "1"},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=60 + AT_MOST_S_EACH * n_killed,
        )
        assert child.returncode == 0, child.stderr
        found = json.loads((home / "found.json").read_text())
    for number, told in enumerate(found):
        assert "error" not in told, told["error"]
        assert json.dumps(told["outcome"]) == json.dumps(undisturbed)
        chronicle.append(
            f"ray_node_killed {number}: {told['before']} trials had ended before, "
            f"{told['tried_again']} tried again, then {told['endings']}"
        )
    assert len(found) == n_killed
