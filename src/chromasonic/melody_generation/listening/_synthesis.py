"""The built-in instrument: a plucked tone of decaying harmonics.

Notation: harmonic k of a note sounds as ``a_k exp(-t / d_k) sin(2 pi k f t)``, which is the
imaginary part of ``a_k exp(r_k t)`` with ``r_k = -1 / d_k + 2 pi i k f``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chromasonic.melody_generation.data.vocabulary import IntArray

Samples = npt.NDArray[np.float32]

RING_OUT_S = 1.5

_HARMONICS = np.arange(1, 21)
_LOUDNESS = 0.4
_ATTACK_S = 0.006
_RELEASE_S = 0.06
_DECAY_AT_440_HZ_S = 1.4
_BRIGHT_UP_TO_HZ = 2500.0
_BLOCK = 256


def synthesize(pitches: list[int], bounds: IntArray, sample_rate: int) -> Samples:
    """Renders a melody with the built-in instrument; the last note rings out after its end.

    Args:
        pitches: MIDI pitches, shape (n,).
        bounds: Onset of each note, and end of the last one, in samples, shape (n + 1,).
        sample_rate: Samples a second.

    Returns:
        Shape (bounds[-1] + 1.5 s,); one note alone stays within 0.42.
    """
    attack = smooth_rise(round(_ATTACK_S * sample_rate))
    release = smooth_rise(round(_RELEASE_S * sample_rate))[::-1]
    ring_out = smooth_rise(round(RING_OUT_S * sample_rate))[::-1]
    samples = np.zeros(bounds[-1] + len(ring_out), dtype=np.float32)
    last = len(pitches) - 1
    for i, (pitch, start, end) in enumerate(zip(pitches, bounds, bounds[1:], strict=False)):
        fall = ring_out if i == last else release
        sound = _tone(pitch, int(end - start) + len(fall), sample_rate)
        sound[: len(attack)] *= attack
        sound[-len(fall) :] *= fall
        samples[start : start + len(sound)] += sound
    return samples


def smooth_rise(length: int) -> npt.NDArray[np.float64]:
    """Factors from 0 to 1 without an edge at either end: half a period of a cosine."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)


def _tone(pitch: int, length: int, sample_rate: int) -> npt.NDArray[np.float64]:
    """A note from the moment it is struck, never damped, shape (length,).

    Sample i * B + j is the sum over k of ``exp(r_k i B) (a_k exp(r_k j))``, with time in
    samples: a product of two small matrices takes the place of a sine for every sample.
    """
    strengths, rates = _harmonics(440.0 * 2.0 ** ((pitch - 69) / 12), sample_rate)
    starts = np.arange(0, length, _BLOCK)
    of_block = np.exp(np.outer(starts, rates))  # (n_blocks, k)
    within = strengths[:, None] * np.exp(np.outer(rates, np.arange(_BLOCK)))  # (k, B)
    blocks = of_block.real @ within.imag + of_block.imag @ within.real
    return np.asarray(blocks.ravel()[:length])


def _harmonics(
    frequency: float, sample_rate: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.complex128]]:
    """Strength `a_k` and rate `r_k` a sample of all harmonics that the sample rate can hold.

    High harmonics are weaker and die sooner, as on a string; high notes are purer and shorter.
    """
    k = _HARMONICS[_HARMONICS * frequency < 0.5 * sample_rate]
    strengths = k**-1.3 / np.sqrt(1.0 + (k * frequency / _BRIGHT_UP_TO_HZ) ** 2)
    strengths *= _LOUDNESS / np.sqrt(np.sum(strengths**2))
    decay_s = _DECAY_AT_440_HZ_S * (440.0 / frequency) ** 0.4 / (1.0 + 0.4 * (k - 1))
    return strengths, (-1.0 / decay_s + 2j * np.pi * k * frequency) / sample_rate
