"""Kills nodes of a Ray cluster under searches, and tells what came of it as JSON.

A script that test_ray_faults.py runs in a network namespace and a process namespace of its own.
"""

import json
import os
import random
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tuning" / "executors")]

from arena import OBJECTIVES, Arena, outcome  # noqa: E402
from ray_scenarios import (  # noqa: E402
    ADDRESS,
    HOME,
    add_node,
    bring_up_loopback,
    kill,
    ray_command,
    start_head,
)

from faults import endings  # noqa: E402


def kill_a_node(number, seed, longest_s, node):
    """Outcome of one search, and the node that replaced the killed one."""
    rng = random.Random(f"{seed} ray node {number}")
    arena = Arena(HOME / f"arena_{number}", options=["--executor", "ray", "--address", ADDRESS])
    arena.begin()
    arena.wait(rng.uniform(0.0, longest_s))
    kill(node)
    before = arena.ended()
    time.sleep(rng.uniform(0.0, 2.0))
    new = add_node()
    assert arena.end(100) == 0, arena.log
    arena.check(before)
    results = arena.results()
    told = {
        "before": len(before),
        "endings": endings(results),
        "outcome": outcome(results),
        "tried_again": arena.log.count("is tried again"),
    }
    return told, new


def main(n_injections, seed, longest_s):
    (HOME / "mischief").mkdir()
    os.environ["MISCHIEF"] = str(HOME / "mischief")
    os.environ["PYTHONPATH"] = str(OBJECTIVES)
    bring_up_loopback()
    start_head()
    node = add_node()
    found = []
    try:
        for number in range(int(n_injections)):
            told, node = kill_a_node(number, seed, float(longest_s), node)
            found.append(told)
    except Exception:  # noqa: BLE001 - the parent tells it
        found.append({"error": traceback.format_exc()})
    finally:
        ray_command("stop", "--force")
    (HOME / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[2:])
