"""Runs every method on every problem, and goes on where it was broken off.

    python benchmarks/optimizer/run.py --peers random,optuna_tpe --seeds 0-9

Each finished run is one line in `results/<peer>.jsonl.gz`. Two processes may run different peers
at the same time. See README.md.
"""

import argparse
import sys
import time
import traceback
import zlib
from typing import Any

import numpy as np
import torch
from peers import KNOW_CONDITIONS, PEERS, Peer, make_peer
from problems import GROUPS, LIST, Problem
from records import N_EVALUATIONS, append_line, finished


def main() -> None:
    """Runs what is missing, seed by seed."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    end = time.monotonic() + arguments.limit_seconds
    done = {peer: finished(peer) for peer in arguments.peers}
    for seed in arguments.seeds:
        for problem in arguments.problems:
            for peer in arguments.peers:
                if (problem.name, seed) in done[peer] or not fits(peer, problem):
                    continue
                if time.monotonic() > end:
                    print("time is up", file=sys.stderr)
                    return
                attempt(peer, problem, seed)


def fits(peer: str, problem: Problem) -> bool:
    """True if the peer runs on the problem: the sampler peer runs on conditional ones alone."""
    has_conditions = any(parameter.when for parameter in problem.space.values())
    return peer in KNOW_CONDITIONS if has_conditions else peer != "chromasonic_sampler"


def attempt(peer: str, problem: Problem, seed: int) -> None:
    """Records one run, or says why there is none; the others go on either way."""
    try:
        line = run(make_peer(peer, problem.space, seed), problem, seed)
    except Exception:  # noqa: BLE001
        print(f"{peer} failed on {problem.name}, seed {seed}:", file=sys.stderr)
        traceback.print_exc()
        return
    append_line(peer, line)
    best = min(line["observed"])
    print(f"{peer} {problem.name} {seed}: {best:.5g}, {line['cpu_s']:.2f} s", flush=True)


def run(
    peer: Peer, problem: Problem, seed: int, n_evaluations: int = N_EVALUATIONS
) -> dict[str, Any]:
    """Values that a method observed on a problem, and its CPU seconds.

    `noiseless` is left out where it is the same as `observed`.
    """
    observed, noiseless, cpu_s = [], [], 0.0
    for number in range(n_evaluations):
        start = time.process_time()
        params = peer.ask()
        cpu_s += time.process_time() - start
        # Evaluation by evaluation, so that all methods meet the same noise.
        noise = np.random.default_rng([zlib.crc32(problem.name.encode()), seed, number])
        value = problem.evaluate(params, noise)
        observed.append(rounded(value))
        noiseless.append(rounded(problem.noiseless(params)))
        start = time.process_time()
        peer.tell(params, value)
        cpu_s += time.process_time() - start
    line = {"problem": problem.name, "seed": seed, "cpu_s": round(cpu_s, 3), "observed": observed}
    return line if problem.observe is None else {**line, "noiseless": noiseless}


def rounded(value: float) -> float:
    """Eight significant digits."""
    return float(f"{value:.8g}")


def parse_arguments() -> argparse.Namespace:
    """Peers and seeds as lists, problems as such."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peers", default=",".join(PEERS), help="names, by commas; default: all")
    parser.add_argument("--seeds", default="0-9", help="such as 0-9 or 0,3; default: 0-9")
    parser.add_argument("--problems", default="all", help="names, by commas; default: all")
    parser.add_argument("--groups", default=",".join(GROUPS), help="of problems; default: all")
    parser.add_argument("--limit-seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    arguments.peers = known(parser, arguments.peers.split(","), list(PEERS))
    groups = known(parser, arguments.groups.split(","), list(GROUPS))
    names = [problem.name for problem in LIST]
    if arguments.problems != "all":
        names = known(parser, arguments.problems.split(","), names)
    arguments.problems = [p for p in LIST if p.name in names and p.group in groups]
    first, _, last = arguments.seeds.partition("-")
    arguments.seeds = range(int(first), int(last) + 1) if last else map(int, first.split(","))
    return arguments


def known(parser: argparse.ArgumentParser, given: list[str], names: list[str]) -> list[str]:
    """The given names, all of which must be known."""
    for name in given:
        if name not in names:
            parser.error(f"a name must be one of {', '.join(names)}, but got {name!r}.")
    return given


if __name__ == "__main__":
    main()
