import struct

import numpy as np
import pytest

from chromasonic.errors import DataError
from chromasonic.melody_generation.listening.sound import render

pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")

RATE = 44_100
RING_OUT = round(1.5 * RATE)
# Numbers of generators, from section 8.1.2 of the SoundFont 2.04 specification.
INSTRUMENT, KEY_RANGE, SAMPLE_ID, SAMPLE_MODES = 41, 43, 53, 54


def chunk(tag, *parts):
    body = b"".join(parts)
    return tag + struct.pack("<I", len(body)) + body


def generator(kind, amount):
    return struct.pack("<HH", kind, amount)


def name(text):
    return text.ljust(20, b"\0")


def soundfont(*programs, bank=0, keys=(0, 127)):
    """A soundfont of one instrument, a looped sine of 440 Hz, under each of the programs."""
    sine = np.rint(20_000 * np.sin(2 * np.pi * np.arange(200) / 100)).astype("<i2").tobytes()
    presets = [
        name(b"Sine") + struct.pack("<HHHIII", program, bank, i, 0, 0, 0)
        for i, program in enumerate(programs)
    ]
    n = len(programs)
    layers = [generator(KEY_RANGE, keys[0] | keys[1] << 8), generator(SAMPLE_MODES, 1)]
    instrument = [*layers, generator(SAMPLE_ID, 0)]
    head = struct.pack("<IIIIIBbHH", 0, 200, 0, 200, 44_000, 69, 0, 0, 1)
    pdta = [
        chunk(b"phdr", *presets, name(b"EOP") + struct.pack("<HHHIII", 0, 0, n, 0, 0, 0)),
        chunk(b"pbag", *(struct.pack("<HH", i, 0) for i in range(n + 1))),
        chunk(b"pmod", bytes(10)),
        chunk(b"pgen", generator(INSTRUMENT, 0) * n, bytes(4)),
        chunk(b"inst", name(b"Sine"), struct.pack("<H", 0), name(b"EOI"), struct.pack("<H", 1)),
        chunk(b"ibag", struct.pack("<HHHH", 0, 0, len(instrument), 0)),
        chunk(b"imod", bytes(10)),
        chunk(b"igen", *instrument, bytes(4)),
        chunk(b"shdr", name(b"Sine"), head, name(b"EOS"), bytes(26)),
    ]
    info = [
        chunk(b"ifil", struct.pack("<HH", 2, 1)),
        chunk(b"isng", b"EMU8000\0"),
        chunk(b"INAM", b"Sine\0\0"),
    ]
    return chunk(
        b"RIFF",
        b"sfbk",
        chunk(b"LIST", b"INFO", *info),
        chunk(b"LIST", b"sdta", chunk(b"smpl", sine, bytes(2 * 46))),
        chunk(b"LIST", b"pdta", *pdta),
    )


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "sine.sf2"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_the_notes_sound_at_their_frequencies(rate, write):
    pitches = [57, 69, 76, 81]
    samples = render(pitches, [960] * 4, 120, rate, soundfont=write(soundfont(0)))
    for i, pitch in enumerate(pitches):
        part = samples[i * rate : (i + 1) * rate] * np.hanning(rate)
        peak = np.abs(np.fft.rfft(part, 16 * rate)).argmax() / 16
        assert abs(1200 * np.log2(peak / (440 * 2 ** ((pitch - 69) / 12)))) < 3


def test_notes_begin_and_end_where_their_times_say(write):
    path = write(soundfont(0))
    durations = [480, 333, 240]
    pitches = [69, 60, 72]

    def play(pitches):
        samples = render(pitches, durations, soundfont=path)
        # Each sound is scaled by its loudest sample, so that the first notes differ by that.
        return samples / samples[:20_000].max()

    samples = play(pitches)
    end = round(sum(durations) / 960 * RATE)
    assert len(samples) == end + RING_OUT
    for n in (1, 2):
        onset = sum(durations[:n]) / 960 * RATE
        other = play(pitches[:n] + [64] * (3 - n))
        (differs,) = np.nonzero(np.abs(samples - other) > 0.001)
        assert 0 <= differs[0] - onset < 50
    # This instrument is damped at once.
    assert np.abs(samples[end + 1000 :]).max() < 1e-4
    assert np.abs(samples[end - 1000 : end]).max() > 0.5


def test_the_loudest_sample_leaves_some_room(write):
    samples = render([50, 69], [480, 480], soundfont=write(soundfont(0)))
    assert np.abs(samples).max() == pytest.approx(0.8, abs=1e-6)
    assert samples.dtype == np.float32


def test_the_same_melody_is_the_same_sound(write):
    path = write(soundfont(0))
    first, second = (render([60, 64, 67], [480] * 3, soundfont=path) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_without_a_program_the_first_of_the_file_plays(write):
    path = write(soundfont(40, 73))
    by_default = render([69], [480], soundfont=path)
    np.testing.assert_array_equal(by_default, render([69], [480], soundfont=path, program=40))


def test_a_program_that_the_file_lacks_is_refused_and_others_named(write):
    with pytest.raises(DataError, match=r"got 5 for .*sine\.sf2\. It has 40, 73\.$"):
        render([69], [480], soundfont=write(soundfont(40, 73)), program=5)
    with pytest.raises(ValueError, match=r"program must lie in 0\.\.127, but got 128"):
        render([69], [480], soundfont=write(soundfont(40)), program=128)


def test_pitches_for_which_the_file_has_no_sound_are_refused(write):
    path = write(soundfont(0, keys=(60, 72)))
    assert render([40, 65], [480, 480], soundfont=path).any()
    with pytest.raises(DataError, match=r"at the pitches 40\.\.50, but is silent there"):
        render([40, 50], [480, 480], soundfont=path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it does not begin as one"),
        (b"Dear diary", "it does not begin as one"),
        (chunk(b"RIFF", b"WAVE", bytes(100)), "it does not begin as one"),
        (soundfont(0)[:-1], "its end is missing"),
        (soundfont(0)[:500], "its end is missing"),
        (chunk(b"RIFF", b"sfbk"), "it cannot be loaded"),
        (chunk(b"RIFF", b"sfbk", b"nonsense" * 20), "it cannot be loaded"),
        (soundfont(0, bank=8), "it has no instrument in bank 0"),
    ],
)
def test_a_file_that_is_no_soundfont_is_refused_in_one_line(content, reason, write):
    with pytest.raises(DataError, match=rf"must be a whole .* but .*sine\.sf2 is not: {reason}"):
        render([69], [480], soundfont=write(content))


def test_a_soundfont_that_is_not_there_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"none\.sf2 is not: No such file or directory\.$"):
        render([69], [480], soundfont=tmp_path / "none.sf2")
    with pytest.raises(DataError, match=r"is not: Is a directory\.$"):
        render([69], [480], soundfont=tmp_path)
