"""Validation of a user's melodies, with an error that names the first invalid tune."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, NoReturn

import numpy as np

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    VOCAB_SIZE,
    IntArray,
)

_LARGEST = np.iinfo(np.int64).max
_PAIRS_HINT = (
    "Pass the melodies alone, such as [x for x, _ in pairs]: the target of a note is the next one."
)


def check_sequences(data: Any, vocab_size: int, name: str = "train_data") -> list[IntArray]:
    """Checks that tunes are melodies of the vocabulary and copies them into arrays.

    Args:
        data: Tunes in any iterable; each a list, tuple, array or tensor of note numbers
            0..vocab_size-1, at least two of them (the first is context only).
        vocab_size: Number of notes, at least 2.
        name: Name of the data in error messages.

    Returns:
        One array a tune, shape (n_notes,).

    Raises:
        DataError: If the data are anything else; it names the first invalid tune and position,
            both counted from 0.
    """
    _check_vocab_size(vocab_size)
    tunes = [_as_tune(tune, i, name) for i, tune in enumerate(_as_tunes(data, name))]
    if not tunes:
        raise DataError(f"{name} must hold at least one tune, but is empty. Add tunes.")
    notes = np.concatenate(tunes)
    if notes.min() < 0 or notes.max() >= vocab_size:
        _refuse_range(tunes, notes, vocab_size, name)
    return np.split(notes, np.cumsum([len(tune) for tune in tunes[:-1]], dtype=np.int64))


def check_notes(data: Any, vocab_size: int, name: str = "train_data") -> list[IntArray]:
    """Checks that each note of tunes has a pitch and a duration and copies them into arrays.

    Args:
        data: Tunes in any iterable; each of shape (n_notes, 2), a pitch token 0..vocab_size-1 and
            a duration in ticks above 0 to each note.
        vocab_size: Number of pitches, at least 2.
        name: Name of the data in error messages.

    Returns:
        One array a tune, shape (n_notes, 2).

    Raises:
        DataError: If the data are anything else.
    """
    tunes = [_as_array(tune, f"tune {i} of {name}") for i, tune in enumerate(_as_list(data, name))]
    for i, tune in enumerate(tunes):
        if tune.ndim != 2 or tune.shape[1] != 2:
            raise DataError(
                f"tune {i} of {name} must have shape (n_notes, 2), a pitch and a duration to each "
                f"note, but has shape {tune.shape}. Use corpus.notes, or tokens='pitch'."
            )
    pitches = check_sequences([tune[:, 0] for tune in tunes], vocab_size, name)
    ticks = [_check_ticks(tune[:, 1], f"tune {i} of {name}") for i, tune in enumerate(tunes)]
    return [np.stack(columns, axis=1) for columns in zip(pitches, ticks, strict=True)]


def data_fingerprint(train: Sequence[IntArray], validation: Sequence[IntArray]) -> str:
    """SHA-256 over all notes, tune boundaries, their order and the split.

    Args:
        train: Tunes as `check_sequences` returns them, shapes (n_notes,).
        validation: The same for validation.

    Returns:
        64 hexadecimal digits of SHA-256; equal on every platform.
    """
    digest = hashlib.sha256()
    for tunes in (train, validation):
        lengths = [len(tunes), *(len(tune) for tune in tunes)]
        digest.update(np.array(lengths, dtype="<i8").tobytes())
        for tune in tunes:
            digest.update(np.asarray(tune, dtype="<i8").tobytes())
    return digest.hexdigest()


def _check_ticks(ticks: Any, where: str) -> IntArray:
    if ticks.dtype.kind not in "iu" or ticks.min() < 1:
        raise DataError(
            f"durations must be whole numbers of ticks above 0, but {where} has "
            f"{ticks.min()!r}. Leave rests out; a quarter note has 480 ticks."
        )
    whole: IntArray = ticks.astype(np.int64, copy=False)
    return whole


def _as_list(data: Any, name: str) -> list[Any]:
    """The tunes of a list, or of an array of shape (n_tunes, n_notes, 2)."""
    if hasattr(data, "__array__"):
        array = _as_array(data, name)
        return list(array) if array.ndim in (1, 3) else [array]
    return list(_as_tunes(data, name))


def _check_vocab_size(vocab_size: Any) -> None:
    is_integer = isinstance(vocab_size, int | np.integer) and not isinstance(vocab_size, bool)
    if not is_integer or vocab_size < 2:
        raise DataError(
            f"vocab_size must be an integer of at least 2, but got {vocab_size!r}. "
            f"For piano notes use {VOCAB_SIZE}."
        )


def _as_tunes(data: Any, name: str) -> Iterator[Any]:
    """Iterator over the items that should be tunes."""
    if hasattr(data, "__array__"):
        data = _as_array(data, name)
        if data.ndim != 2 and data.dtype != object:
            raise DataError(
                f"{name} must have shape (n_tunes, n_notes), but got shape {data.shape}. "
                "Wrap a single tune in a list; pass notes by number, not one-hot."
            )
    # A set has no order, and the parts of text and of a dict are no tunes.
    if not isinstance(data, str | bytes | Mapping | Set):
        with suppress(TypeError):
            return iter(data)
    raise DataError(
        f"{name} must be a list of tunes, but got {_short(data)}. "
        "Pass a list with a list or array of note numbers for each tune."
    )


def _as_tune(tune: Any, index: int, name: str) -> IntArray:
    """Notes of one tune, before the check of their range."""
    where = f"tune {index} of {name}"
    if _is_pair(tune):
        raise DataError(
            f"{where} must be one row of notes, but is a {type(tune).__name__} of {len(tune)} "
            f"rows or values. {_PAIRS_HINT}"
        )
    notes = _as_array(tune, where)
    if notes.dtype == object and notes.ndim == 1:
        tune = notes.tolist()
        notes = _as_array(tune, where)
    _check_shape(notes, tune, where)
    listed = isinstance(tune, list | tuple)
    hides_bools = listed and not {bool, np.bool_}.isdisjoint(map(type, tune))
    too_large = notes.dtype == np.uint64 and notes.max() > _LARGEST
    if notes.dtype.kind not in "iu" or hides_bools or too_large:
        _refuse_type(notes, tune if listed else notes.tolist(), where)
    integers: IntArray = notes.astype(np.int64, copy=False)
    return integers


def _check_shape(notes: Any, tune: object, where: str) -> None:
    if notes.ndim == 0:
        raise DataError(
            f"{where} must be a list or array of note numbers, but got {_short(tune)}. "
            "Wrap a single tune in a list."
        )
    if notes.ndim != 1:
        raise DataError(
            f"{where} must have one dimension, but has shape {notes.shape}. {_PAIRS_HINT}"
        )
    if notes.size < 2:
        raise DataError(
            "a tune must have at least 2 notes (the first is context only), "
            f"but {where} has {notes.size}. Leave such tunes out."
        )


def _as_array(values: Any, where: str) -> Any:
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{where} must be convertible to an array, but numpy says: {reason} "
            "Pass plain lists or arrays; move tensors with .detach().cpu()."
        ) from None


def _is_pair(tune: Any) -> bool:
    """True for (x, y) or (x,), as a TensorDataset or a DataLoader yields."""
    if not isinstance(tune, tuple | list) or len(tune) not in (1, 2):
        return False
    return isinstance(tune[0], list | tuple) or getattr(tune[0], "ndim", 0) > 0


def _refuse_type(notes: Any, values: Sequence[object], where: str) -> NoReturn:
    """Raise the error for notes that are no integers, or none that 64 bits can hold."""
    if notes.dtype.kind == "f":
        _refuse_floats(notes, where)
    position = next(i for i, value in enumerate(values) if not _is_note(value))
    raise DataError(
        f"note numbers must be small integers, but {where} has {_short(values[position])} "
        f"at position {position}. Remove it or put a note number in its place."
    )


def _is_note(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return False
    return bool(-_LARGEST <= value <= _LARGEST)


def _refuse_floats(notes: Any, where: str) -> NoReturn:
    """Raise the error for floats: nan, fractions, or integers by value."""
    broken = np.flatnonzero(~np.isfinite(notes) | (notes != np.floor(notes)))
    if not broken.size:
        raise DataError(
            f"note numbers must be integers, but {where} holds floats ({notes.dtype}). "
            "Convert them with .astype(int)."
        )
    position = broken[0]
    hint = "Round it" if np.isfinite(notes[position]) else "Remove it"
    raise DataError(
        f"note numbers must be integers, but {where} has {notes[position]} "
        f"at position {position}. {hint}, then convert to integers."
    )


def _refuse_range(tunes: list[IntArray], notes: IntArray, vocab_size: int, name: str) -> NoReturn:
    """Raise the error for notes outside the vocabulary."""
    low, high = int(notes.min()), int(notes.max())
    if vocab_size == VOCAB_SIZE and low >= LOWEST_PITCH and high <= HIGHEST_PITCH:
        raise DataError(
            f"note numbers must be from 0 to {vocab_size - 1}, but {name} has {low} to {high}; "
            "these look like MIDI pitches: use encode_pitches"
        )
    index = next(i for i, t in enumerate(tunes) if t.min() < 0 or t.max() >= vocab_size)
    position = np.flatnonzero((tunes[index] < 0) | (tunes[index] >= vocab_size))[0]
    value = tunes[index][position]
    hint = (
        "Leave padding and rests out: no number stands for them."
        if value < 0
        else f"Raise vocab_size to {high + 1}, or renumber the notes."
    )
    raise DataError(
        f"note numbers must be from 0 to {vocab_size - 1}, but tune {index} of {name} "
        f"has {value} at position {position}. {hint}"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
