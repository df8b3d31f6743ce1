"""Text of an ABC file: its encoding, its tunes, and the lines of a tune.

Nothing that could be music is passed over in silence: text without an X: field is a tune of its
own if it has a K: field or bars of notes, so that it is read or refused.

Source: the ABC music standard 2.1, sections 2 and 3.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chromasonic.melody_generation.data.tune_report import UnusableTune

# That of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LINE_END = re.compile(r"\r+\n|\r")
_INVISIBLE = re.compile("[\ufeff\u200b\u200e\u200f\u2060]")
_BLANK = re.compile(r"\n(?:[^\S\n]*\n)+")
_X = re.compile(r"(?m)^(?=[^\S\n]*X:)")
_K = re.compile(r"(?m)^[^\S\n]*K:")
_TEXT_BLOCK = re.compile(r"%%\s*(begin|end)[a-z]+")
_QUOTED = re.compile(r'"[^"]*"')
_NOTES_ONLY = re.compile(r"[\dA-HJ-MO-VXZa-gku-z ^_=,'/|:\[\](){}<>!~.*&+\\-]*")
_OF_ALL_TUNES = re.compile(
    r"(?:[LMUm]:|(?:%%|I:)\s*(?:MIDI\s+(?:r?transpose|(?:no)?barlines)"
    r"|transpose|propagate-accidentals|map|voicemap)\b)"
)
MOST_CHARACTERS_OF_A_FILE_HEADER = 1000

# `d:|` and `G:|` are music.
_FIELD = re.compile(r"([A-G]:(?![|:])|[H-Zmrsw]:|\+:)(.*)")
_BEFORE_COMMENT = re.compile(r'(?:[^%"\\]|\\.|"(?:[^"\\]|\\.)*"|["\\])*')
_NO_TEXT_FIELDS = "IKLMPQUVXm"
_BACKSLASH = "\\"
_MAIL_CODE = re.compile(r"=(?:(3D)|20|$)")


class Line(NamedTuple):
    """A line of a tune.

    Attributes:
        kind: The letter of a field, `I` also for directives (`%%`), `" "` for a blank line, and
            nothing for music.
        text: The field's value or the music, without comment.
    """

    kind: str
    text: str


def decode_abc(content: bytes) -> str:
    """Decodes UTF-8, UTF-16 and UTF-32, and lines that are none of them as Windows-1252."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    start = content[:1000]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if 4 * start[first::2].count(0) > len(start) > 8 * start[1 - first :: 2].count(0):
            return content.decode(encoding, "replace")
    return "\n".join(map(_decode_line, re.split(rb"\r+\n|\r|\n", content)))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def find_tunes(text: str) -> Iterator[str]:
    """Text of each tune after the fields that the file sets for all; one tune if there is none.

    Raises:
        UnusableTune: If the file sets more than 1,000 characters of fields for all tunes.
    """
    header = ""
    tune: list[str] = []
    is_open = False  # the tune has no K: field yet
    found = False
    for block in _blocks(text):
        has_key = _K.search(block) is not None
        if block.startswith("X:") or (not is_open and (has_key or _has_bars(block))):
            if tune:
                yield header + "\n".join(tune)
            tune, is_open, found = [block], block.startswith("X:") and not has_key, True
        elif is_open:
            tune.append(block)
            is_open = not has_key
        elif not found:
            header += _fields_of_all_tunes(block)
            if len(header) > MOST_CHARACTERS_OF_A_FILE_HEADER:
                raise UnusableTune("too large", "too many fields before the first X:")
    if tune or not found:
        yield header + "\n".join(tune)


def _blocks(text: str) -> Iterator[str]:
    """Runs of lines that are not blank, parted also before each X: field, without text blocks."""
    lines = "\n".join(_without_text_blocks(_split_lines(text)))
    for run in _BLANK.split(lines):
        yield from (block for block in _X.split(run) if block)


def _split_lines(text: str) -> list[str]:
    lines = _LINE_END.sub("\n", _INVISIBLE.sub("", text)).split("\n")
    return [line.strip() for line in lines]


def _without_text_blocks(lines: Iterable[str]) -> Iterator[str]:
    """The lines outside `%%begintext` and the like; what is not closed ends before an X: field."""
    inside = False
    for line in lines:
        mark = _TEXT_BLOCK.match(line)
        inside = mark[1] == "begin" if mark else inside and not line.startswith("X:")
        if not inside and not mark:
            yield line


def _has_bars(block: str) -> bool:
    """True if a line of free text looks like music: notes, a barline, and no other letters."""
    lines = (_QUOTED.sub("", line) for line in block.split("\n"))
    return any(
        "|" in line and re.search("[A-Ga-g]", line) and _NOTES_ONLY.fullmatch(line)
        for line in lines
    )


def _fields_of_all_tunes(block: str) -> str:
    return "".join(f"{line}\n" for line in block.split("\n") if _OF_ALL_TUNES.match(line))


def read_lines(tune: str) -> Iterator[Line]:
    """Lines of a tune, without comments; a field that goes on in the next lines is one line."""
    field: Line | None = None
    for line in _without_text_blocks(_split_lines(tune)):
        if line.startswith("%") and not line.startswith("%%"):
            continue
        match = None if line.startswith("%%") else _FIELD.match(_without_comment(line))
        goes_on = field is not None and _goes_on(field)
        if field is not None and (
            (match and match[1] == "+:") or (goes_on and line and not match)
        ):
            text = match[2] if match else line
            field = Line(field.kind, f"{field.text.removesuffix(_BACKSLASH)} {text.strip()}")
            continue
        if field is not None:
            yield field
            field = None
        if match:
            field = Line(match[1][0], match[2].strip())
        elif line.startswith("%%"):
            yield Line("I", line[2:].strip())
        else:
            yield Line("" if line else " ", _without_mail_codes(_without_comment(line)))
    if field is not None:
        yield field


def _goes_on(field: Line) -> bool:
    """True for a text that ends in a backslash, as old files continue lyrics."""
    return field.kind not in _NO_TEXT_FIELDS and field.text.endswith(_BACKSLASH)


def _without_comment(line: str) -> str:
    match = _BEFORE_COMMENT.match(line)
    return match[0].rstrip() if match else line


def _without_mail_codes(music: str) -> str:
    """Music that once was sent by e-mail, where `=3D` is a natural sign and `=` a line break."""
    return _MAIL_CODE.sub(lambda code: "=" if code[1] else "", music)
