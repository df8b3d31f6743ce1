import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chromasonic.errors import DataError
from chromasonic.melody_generation.data import VOCAB_SIZE, decode_pitches, encode_pitches

pitches = arrays(np.int64, st.integers(0, 40), elements=st.integers(21, 108))


@given(pitches)
def test_decoding_gives_back_what_was_encoded(pitches):
    tokens = encode_pitches(pitches)
    assert tokens.dtype == np.int64
    assert np.all((tokens >= 0) & (tokens < VOCAB_SIZE))
    np.testing.assert_array_equal(decode_pitches(tokens), pitches)


def test_the_ends_of_the_piano_and_middle_c_have_their_tokens():
    np.testing.assert_array_equal(encode_pitches([21, 60, 108]), [0, 39, 87])
    np.testing.assert_array_equal(decode_pitches([0, 39, 87]), [21, 60, 108])


def test_unsigned_bytes_do_not_wrap_around():
    np.testing.assert_array_equal(decode_pitches(np.array([87], dtype=np.uint8)), [108])
    with pytest.raises(DataError, match="got 20"):
        encode_pitches(np.array([20], dtype=np.uint8))


def test_encoding_leaves_its_input_alone():
    pitches = np.array([60, 62])
    encode_pitches(pitches)
    np.testing.assert_array_equal(pitches, [60, 62])


def test_no_pitches_encode_to_no_tokens():
    assert encode_pitches([]).shape == (0,)


@pytest.mark.parametrize("pitch", [-1, 20, 109, 2**40])
def test_a_pitch_outside_the_piano_is_refused(pitch):
    with pytest.raises(DataError, match=rf"MIDI pitches must lie in 21\.\.108, but got {pitch}"):
        encode_pitches([60, pitch])


@pytest.mark.parametrize("token", [-1, 88])
def test_a_token_outside_the_vocabulary_is_refused(token):
    with pytest.raises(DataError, match=rf"tokens must lie in 0\.\.87, but got {token}"):
        decode_pitches([3, token])


@pytest.mark.parametrize("values", [[60.0], [60.5], ["C4"], [True], [None], [float("nan")]])
def test_values_that_are_no_whole_numbers_are_refused(values):
    with pytest.raises(DataError, match="must be whole numbers"):
        encode_pitches(values)
    with pytest.raises(DataError, match="must be whole numbers"):
        decode_pitches(values)


def test_tunes_of_different_lengths_are_not_one_array():
    with pytest.raises(DataError, match="one tune at a time"):
        encode_pitches([[60, 62], [60]])
