"""How fast a user's files are read, and what becomes of damaged ones.

    python benchmarks/tune_files/run.py --mutated 100000

Writes `results.json` beside itself. Needs mido, and symusic for comparison; symusic reads sound
files only here, as its process may die on damaged ones.
"""

import argparse
import io
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mido
import symusic

from chromasonic.melody_generation.data.midi import read_midi
from chromasonic.melody_generation.data.tune_files import load_tunes
from chromasonic.melody_generation.data.tune_report import UnusableTune

HERE = Path(__file__).parent
TRACKS, NOTES_A_TRACK = 2, 150


def sound_file(rng: random.Random) -> bytes:
    """A file of two tracks of 150 notes each."""
    file = mido.MidiFile(ticks_per_beat=480)
    for channel in range(TRACKS):
        track = mido.MidiTrack()
        file.tracks.append(track)
        for _ in range(NOTES_A_TRACK):
            note = {"note": rng.randrange(40, 90), "channel": channel}
            track.append(mido.Message("note_on", time=rng.choice([0, 0, 120]), **note))
            track.append(mido.Message("note_off", time=rng.choice([120, 240, 480]), **note))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The file with 1 to 50 places changed, taken out or put in, the header often among them."""
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 3, 10, 50])):
        place = rng.randrange(rng.choice([min(40, len(damaged)), len(damaged)]))
        kind = rng.random()
        if kind < 0.6:
            damaged[place] = rng.randrange(256)
        elif kind < 0.8:
            del damaged[place : place + rng.randrange(1, 100)]
        else:
            damaged[place:place] = rng.randbytes(rng.randrange(1, 9))
        damaged = damaged or bytearray(1)
    return bytes(damaged)


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


def fuzz(files: list[bytes], count: int, rng: random.Random) -> dict[str, object]:
    """What became of each mutated file, and the longest time that one took."""
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(count):
        content = mutated(rng.choice(files), rng)
        start = time.process_time()
        try:
            read = read_midi(content)
            outcomes["read, mended" if +read.mends else "read"] += 1
        except UnusableTune as error:
            outcomes[error.reason] += 1
        slowest = max(slowest, time.process_time() - start)
    return {"files": count, "outcomes": dict(outcomes.most_common()), "slowest_s": slowest}


def main() -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--mutated", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    files = [sound_file(rng) for _ in range(arguments.files)]
    results = {
        "files": len(files),
        "bytes_a_file": sum(map(len, files)) // len(files),
        "load_tunes_cpu_s": time_folder(files),
        "read_midi_cpu_s": cpu_seconds(read_midi, files),
        "mido_cpu_s": cpu_seconds(lambda content: mido.MidiFile(file=io.BytesIO(content)), files),
        "symusic_cpu_s": cpu_seconds(symusic.Score.from_midi, files),
        "fuzz": fuzz(files, arguments.mutated, rng),
    }
    text = json.dumps(results, indent=2)
    print(text)
    (HERE / "results.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
