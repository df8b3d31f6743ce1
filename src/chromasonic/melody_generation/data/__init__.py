"""Melodies as token sequences: the shipped corpus, synthetic tunes, and a user's own files."""

from chromasonic.melody_generation.data.corpus import Corpus, Split, load_corpus
from chromasonic.melody_generation.data.music21_tunes import load_music21
from chromasonic.melody_generation.data.tune_files import load_tunes
from chromasonic.melody_generation.data.tune_report import Tunes
from chromasonic.melody_generation.data.tune_split import split_tunes
from chromasonic.melody_generation.data.vocabulary import (
    LOWEST_PITCH,
    VOCAB_SIZE,
    Vocabulary,
    decode_pitches,
    encode_pitches,
)

__all__ = [
    "LOWEST_PITCH",
    "VOCAB_SIZE",
    "Corpus",
    "Split",
    "Tunes",
    "Vocabulary",
    "decode_pitches",
    "encode_pitches",
    "load_corpus",
    "load_music21",
    "load_tunes",
    "split_tunes",
]
