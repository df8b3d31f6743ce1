import subprocess
import sys
import wave
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile
from scipy.signal import butter, sosfilt

from chromasonic.errors import DataError, MissingExtra
from chromasonic.melody_generation.listening.sound import render, soft_limit, write_wav

RATE = 44_100
RING_OUT = round(1.5 * RATE)


def frequency(pitch):
    return 440 * 2 ** ((pitch - 69) / 12)


def peak_of_spectrum(samples, rate=RATE):
    """The strongest frequency in Hz, between the bins of the FFT."""
    n = 2**19
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n))
    k = int(spectrum.argmax())
    left, middle, right = np.log(spectrum[k - 1 : k + 2])
    return (k + 0.5 * (left - right) / (left - 2 * middle + right)) * rate / n


def cents(a, b):
    return abs(1200 * np.log2(a / b))


def random_melody(seed, n=40, low=40, high=90):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, n), rng.choice([80, 120, 160, 240, 480, 720], n)


@pytest.mark.parametrize("pitch", range(21, 109))
def test_every_key_of_the_piano_sounds_at_its_frequency(pitch):
    assert cents(peak_of_spectrum(render([pitch], [960])[:RATE]), frequency(pitch)) < 0.1


def test_each_note_of_a_melody_has_its_pitch_where_it_should_sound():
    rng = np.random.default_rng(0)
    pitches, durations = rng.integers(50, 96, 40), rng.choice([240, 320, 480, 720], 40)
    samples = render(pitches, durations, tempo=90)
    for pitch, start, length in zip(
        pitches, np.cumsum(durations) - durations, durations, strict=1
    ):
        # What was before still fades during the first 60 ms.
        begin, end = (int(RATE * t / 480 * 60 / 90) for t in (start + 48, start + length))
        assert cents(peak_of_spectrum(samples[begin + 1000 : end]), frequency(pitch)) < 5


@pytest.mark.parametrize(("tempo", "rate"), [(120, 44_100), (97.3, 48_000), (240, 22_050)])
def test_a_note_begins_at_the_very_sample_that_its_time_says(tempo, rate):
    pitches, durations = random_melody(1, n=60)
    durations = durations + np.arange(60) % 7
    samples = render(pitches, durations, tempo, rate)
    for n in (1, 2, 17, 40, 59):
        exact = Fraction(int(durations[:n].sum()), 480) * 60 / Fraction(tempo) * rate
        other = pitches.copy()
        other[n:] += 1
        (differs,) = np.nonzero(samples != render(other, durations, tempo, rate))
        assert 0 <= differs[0] - exact < 0.001 * rate


def test_a_note_is_struck_within_milliseconds():
    envelope = np.abs(render([69], [960]))
    assert envelope[:10].max() < 0.01 * envelope.max()
    assert envelope[: RATE // 100].max() > 0.9 * envelope.max()


def test_the_last_note_rings_out_to_silence_and_others_are_damped():
    samples = np.abs(render([72, 48, 72], [480, 480, 480]))
    end = 3 * RATE // 2
    assert len(samples) == end + RING_OUT
    assert samples[end : end + RATE // 10].max() > 0.5 * samples[end - RATE // 10 : end].max()
    assert samples[-1] < 1e-6
    alone = render([72], [480])
    followed = render([72, 48], [480, 480]) - np.pad(render([48], [480]), (RATE // 2, 0))
    assert np.abs(alone[RATE // 2 + 3000 : RATE]).max() > 0.05
    assert np.abs(followed[RATE // 2 + 3000 : RATE]).max() < 1e-6


@given(
    notes=st.lists(st.tuples(st.integers(21, 108), st.integers(1, 960)), min_size=1, max_size=30),
    tempo=st.floats(60, 1000),
    rate=st.sampled_from([11_025, 22_050, 44_100]),
)
def test_whatever_is_played_stays_within_one_and_is_finite(notes, tempo, rate):
    samples = render(*zip(*notes, strict=True), tempo, rate)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() <= 1
    assert np.abs(samples).max() > 0.2


def test_many_notes_at_once_bend_to_one_but_never_beyond():
    samples = render(np.arange(21, 109).repeat(3), [1] * 264, tempo=1000)
    assert 0.95 < np.abs(samples).max() <= 1


def loudness_above(samples, hertz):
    high_pass = butter(8, hertz, "high", fs=RATE, output="sos")
    return np.abs(sosfilt(high_pass, samples)).max()


def test_there_are_no_clicks():
    # No harmonic of these notes lies above 9 kHz, so that what is heard there are edges.
    pitches, durations = random_melody(2, n=80, low=21, high=70)
    samples = render(pitches, durations)
    assert loudness_above(samples, 12_000) < 0.0005
    cut = samples.copy()
    cut[np.abs(samples).argmax() :] = 0
    assert loudness_above(cut, 12_000) > 0.05


def test_no_jump_where_a_note_begins_is_larger_than_those_of_the_note_before():
    pitches, durations = random_melody(5, n=150)
    jumps = np.abs(np.diff(render(pitches, durations)))
    for onset in np.rint(np.cumsum(durations)[:-1] / 960 * RATE).astype(int):
        # In a millisecond the new note has risen to 7% of its strength.
        assert (
            jumps[onset - 44 : onset + 44].max() < 1.1 * jumps[onset - 1300 : onset].max() + 0.03
        )


def test_neighbouring_samples_of_low_notes_are_close():
    # A sine of amplitude 0.42 at 247 Hz, pitch 59, changes by 0.015 a sample; it has harmonics,
    # and the note before still fades.
    for seed in range(3):
        assert np.abs(np.diff(render(*random_melody(seed, low=21, high=60)))).max() < 0.15


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100])
@pytest.mark.parametrize("pitch", [60, 84, 96, 103, 108])
def test_nothing_sounds_between_the_harmonics_so_nothing_is_folded_back(pitch, rate):
    samples = render([pitch], [960], sample_rate=rate)[:rate].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.blackman(rate)))
    hertz = np.arange(len(spectrum))
    harmonic = np.maximum(np.rint(hertz / frequency(pitch)), 1) * frequency(pitch)
    between = spectrum[np.abs(hertz - harmonic) > 60]
    assert 20 * np.log10(between.max() / spectrum.max()) < -100


def test_high_notes_are_purer_and_shorter_than_low_ones():
    purity, kept = [], []
    for pitch in (36, 60, 84, 105):
        samples = render([pitch], [1920])[:RATE].astype(float)
        power = np.abs(np.fft.rfft(samples * np.hanning(RATE))) ** 2
        near = np.abs(np.arange(len(power)) - frequency(pitch)) < 10
        purity.append(power[near].sum() / power.sum())
        kept.append(np.abs(samples[-4000:]).max() / np.abs(samples[:4000]).max())
    assert purity == sorted(purity)
    assert kept == sorted(kept, reverse=True)


def test_the_same_melody_is_the_same_sound():
    assert render(*random_melody(3)).tobytes() == render(*random_melody(3)).tobytes()


def test_soft_limiting_changes_nothing_quiet_and_has_no_corner():
    line = np.linspace(-3, 3, 60_001).astype(np.float32)
    limited = soft_limit(line)
    quiet = np.abs(line) <= 0.8
    np.testing.assert_array_equal(limited[quiet], line[quiet])
    np.testing.assert_array_equal(limited, -limited[::-1])
    assert np.abs(limited).max() <= 1
    slopes = np.diff(limited.astype(float)) / np.diff(line.astype(float))
    assert slopes.min() >= 0
    assert np.abs(np.diff(slopes)).max() < 0.01


def test_wav_files_hold_the_samples_to_half_a_step_of_16_bits(tmp_path):
    samples = np.concatenate([render(*random_melody(4)), [1.0, -1.0, 0.0]])
    path = write_wav(tmp_path / "sounds" / "a.wav", samples, 22_050)
    rate, read = wavfile.read(path)
    assert (rate, read.dtype) == (22_050, np.int16)
    np.testing.assert_allclose(read / 32_767, samples, rtol=0, atol=0.5001 / 32_767)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)


def test_a_wav_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    path = write_wav(tmp_path / "a.wav", [0.5])
    old = path.read_bytes()

    def fail(self, data):
        raise OSError("the disk is full")

    monkeypatch.setattr(wave.Wave_write, "writeframes", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_wav(path, [0.1, 0.2])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([0.0, 1.1], r"in \[-1, 1\], but got shape \(2,\) and values in 0\.\.1\.1"),
        ([0.0, float("nan")], r"in \[-1, 1\]"),
        ([[0.0], [0.1]], r"got shape \(2, 1\)"),
    ],
)
def test_samples_that_are_no_line_within_one_are_refused(samples, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        write_wav(tmp_path / "a.wav", samples)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [0, -1, 8_000, 192_001])
def test_a_sample_rate_that_cannot_hold_the_piano_is_refused(rate, tmp_path):
    with pytest.raises(ValueError, match=r"sample_rate must lie in 11025\.\.192000 a second"):
        render([60], [480], sample_rate=rate)
    with pytest.raises(ValueError, match="sample_rate must lie in"):
        write_wav(tmp_path / "a.wav", [0.0], rate)


def test_notes_and_tempo_are_checked_before_anything_sounds():
    with pytest.raises(DataError, match="as many durations as pitches"):
        render([60, 62], [480])
    with pytest.raises(ValueError, match="tempo must lie in"):
        render([60], [480], tempo=0)


def test_without_tinysoundfont_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(MissingExtra, match="Run: pip install --no-deps tinysoundfont"):
        render([60], [480], soundfont=tmp_path / "a.sf2")


def test_sound_and_midi_files_need_no_torch():
    code = (
        "import sys\n"
        "from chromasonic.melody_generation.listening import midi_file, sound\n"
        "sound.render([60], [480])\n"
        "print({'torch', 'matplotlib', 'mido', 'tinysoundfont'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
