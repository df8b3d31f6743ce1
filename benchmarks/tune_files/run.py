"""Speed of reading tune files, and outcomes of damaged ones.

    python benchmarks/tune_files/run.py --mutated 100000

Writes `results.json` beside itself. Needs mido, and symusic for comparison; symusic reads sound
files only here, as its process may die on damaged ones.
"""

import argparse
import io
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mido
import symusic

from chromasonic.melody_generation.data.formats.midi import read_midi
from chromasonic.melody_generation.data.tune_files import load_tunes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "faults" / "tune_files"))

from fuzz import fuzz  # noqa: E402
from samples import midi  # noqa: E402


def cpu_seconds(read: Callable[[bytes], object], files: list[bytes]) -> float:
    """Processor time of reading each file once; the least of three rounds."""
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for content in files:
            read(content)
        rounds.append(time.process_time() - start)
    return min(rounds)


def time_folder(files: list[bytes]) -> float:
    """Processor time of `load_tunes` on a folder, near-duplicates and all."""
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(files):
            Path(folder, f"{number:04}.mid").write_bytes(content)
        start = time.process_time()
        load_tunes(folder)
        return time.process_time() - start


def main() -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--mutated", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    files = [midi(rng) for _ in range(arguments.files)]
    results = {
        "files": len(files),
        "bytes_a_file": sum(map(len, files)) // len(files),
        "load_tunes_cpu_s": time_folder(files),
        "read_midi_cpu_s": cpu_seconds(read_midi, files),
        "mido_cpu_s": cpu_seconds(lambda content: mido.MidiFile(file=io.BytesIO(content)), files),
        "symusic_cpu_s": cpu_seconds(symusic.Score.from_midi, files),
        "fuzz": fuzz(arguments.mutated, arguments.seed),
    }
    text = json.dumps(results, indent=2)
    print(text)
    (HERE / "results.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
