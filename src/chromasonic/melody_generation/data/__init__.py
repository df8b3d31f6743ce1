"""Melodies as token sequences: the shipped corpus, synthetic ones, a user's own."""

from chromasonic.melody_generation.data.corpus import Corpus, Split, load_corpus
from chromasonic.melody_generation.data.vocabulary import (
    LOWEST_PITCH,
    VOCAB_SIZE,
    decode_pitches,
    encode_pitches,
)

__all__ = [
    "LOWEST_PITCH",
    "VOCAB_SIZE",
    "Corpus",
    "Split",
    "decode_pitches",
    "encode_pitches",
    "load_corpus",
]
