"""The 88 pitches of a piano as tokens: token = MIDI pitch - 21."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chromasonic.errors import DataError

IntArray = npt.NDArray[np.int64]

VOCAB_SIZE = 88
LOWEST_PITCH = 21
HIGHEST_PITCH = LOWEST_PITCH + VOCAB_SIZE - 1


def encode_pitches(pitches: npt.ArrayLike) -> IntArray:
    """Tokens 0..87 of MIDI pitches, in the shape that came.

    Args:
        pitches: Whole numbers in 21..108, the keys of a piano; middle C is 60.

    Raises:
        DataError: If a pitch is no whole number or lies outside the piano.
    """
    values = _whole_numbers(pitches, "MIDI pitches")
    _check_range(values, "MIDI pitches", LOWEST_PITCH, HIGHEST_PITCH, "Drop or transpose the tune")
    return values - LOWEST_PITCH


def decode_pitches(tokens: npt.ArrayLike) -> IntArray:
    """MIDI pitches 21..108 of tokens, in the shape that came.

    Args:
        tokens: Whole numbers in 0..87, as `encode_pitches` gives them.

    Raises:
        DataError: If a token is no whole number or lies outside the vocabulary.
    """
    values = _whole_numbers(tokens, "tokens")
    _check_range(values, "tokens", 0, VOCAB_SIZE - 1, "MIDI pitches need no decoding")
    return values + LOWEST_PITCH


def _whole_numbers(values: npt.ArrayLike, name: str) -> IntArray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(
            f"{name} must form one array, but got rows of different lengths. "
            "Convert one tune at a time."
        ) from error
    if array.size == 0:
        return np.zeros(array.shape, dtype=np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"{name} must be whole numbers, but got dtype {array.dtype}. "
            "Round them and convert them to int first."
        )
    return array.astype(np.int64)


def _check_range(values: IntArray, name: str, low: int, high: int, advice: str) -> None:
    outside = values[(values < low) | (values > high)]
    if outside.size:
        raise DataError(f"{name} must lie in {low}..{high}, but got {outside[0]}. {advice}.")
