"""Damages files, both blindly and in ways that are known to hurt readers of their kind."""

import copy
import io
import random
import re
import zipfile
from pathlib import PurePosixPath
from xml.etree import ElementTree

from samples import CONTAINER, pack

# Repeated parts show what grows faster than its input.
LARGEST = 300_000
NUMBERS = [b"0", b"-1", b"1", b"255", b"65536", b"9999999999", b"1e308", b"1e-308", b"nan", b"1/0"]
ABC_SIGNS = [
    b"[", b"]", b"{", b"(", b"(9:9:9", b"(0", b"-", b">>>", b"<", b"^^", b"/", b"////", b"/9999",
    b"&", b'"', b"!", b"|", b"\n", b"\nX:2\n", b"\nK:", b"[K:", b"[V:2]", b"\nV:1\n", b"\nM:1/0\n",
    b"\nL:0\n", b"%", b"\n+:", b'\\"', b"\r", b"\n\n", b"+", b"=3D", b"\nm:a=b\n",
    b"\n%%begintext\n", b"\n%%MIDI transpose 9\n", b"[K:t=-9 octave=2]", b"[K:D exp _b]",
    b"\\\n", b"\xff", b"\0", "\N{GREEK SMALL LETTER ALPHA}".encode(),
]  # fmt: skip
XML_SIGNS = [
    b"<", b">", b"&", b"&amp;", b"&a;", b"<!--", b"]]>", b"<![CDATA[",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<note>", b"</note>", b"<chord/>", b"<grace/>",
    b"<rest/>", b"<backup/>", b"<backup><duration>2</duration></backup>", b"<staff>2</staff>",
    b"<forward><duration>3</duration></forward>",
    b"<notations><tied type='start'/></notations>",
    b"<measure>", b"<part>", b"<divisions>0</divisions>",
    b"<transpose><chromatic>9</chromatic></transpose>", b"<duration>", b"<tie type='start'/>",
    b"<pitch/>", b"<a>", b"<a b='", b"\xff", b"\0",
]  # fmt: skip


def damaged_midi(content: bytes, rng: random.Random) -> bytes:
    """1 to 50 places changed, taken out or put in, the header often among them."""
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 3, 10, 50])):
        _damage_bytes(damaged, rng)
    if rng.random() < 0.02:
        _repeat(damaged, rng)
    return bytes(damaged)


def damaged_abc(content: bytes, rng: random.Random) -> bytes:
    """1 to 20 places damaged, most of them with signs and numbers of ABC."""
    return _damaged_text(content, ABC_SIGNS, rng)


def damaged_musicxml(content: bytes, rng: random.Random) -> bytes:
    """1 to 20 elements or places damaged; one of two files stays XML."""
    if rng.random() < 0.5:
        return _damaged_text(content, XML_SIGNS, rng)
    root = ElementTree.fromstring(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        _damage_element(root, rng)
    return ElementTree.tostring(root)


def damaged_archive(content: bytes, rng: random.Random) -> bytes:
    """An archive damaged itself, or packed again around damaged members, odd names or a bomb."""
    if rng.random() < 0.5:
        return damaged_midi(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = rng.choice(list(members))
    hurt = members.pop(name)
    kind = rng.random()
    if kind < 0.8:
        members[name] = _DAMAGE.get(PurePosixPath(name).suffix, damaged_midi)(hurt, rng)
    elif kind < 0.98:
        members[rng.choice(["../" + name, "/" + name, "\x1b" + name, name * 50, CONTAINER])] = hurt
    else:
        members[name] = bytes(20_000_000)
    return pack(members, rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))


_DAMAGE = {".abc": damaged_abc, ".musicxml": damaged_musicxml, ".xml": damaged_musicxml}


def _damage_element(root: ElementTree.Element, rng: random.Random) -> None:
    """One element emptied, renamed, renumbered, moved, left out, nested, or put in many times."""
    parents = [element for element in root.iter() if len(element)]
    if not parents:
        return
    parent, other = rng.choice(parents), rng.choice(parents)
    place = rng.randrange(len(parent))
    element = parent[place]
    kind = rng.random()
    if kind < 0.4:
        element.text = rng.choice([*NUMBERS, b"", b"H", b"x" * 1000]).decode()
    elif kind < 0.5:
        element.tag = rng.choice([each.tag for each in root.iter()])
    elif kind < 0.6:
        element.clear()
    elif kind < 0.7:
        parent.remove(element)
    elif kind < 0.8:
        other.insert(rng.randrange(len(other) + 1), copy.deepcopy(element))
    elif kind < 0.9:
        for _ in range(rng.choice([1, 10, 100])):
            element[:] = [copy.copy(element)]
    else:
        room = max(0, LARGEST - len(ElementTree.tostring(root)))
        times = min(rng.choice([3, 100, 10_000]), room // len(ElementTree.tostring(element)))
        parent[place:place] = [copy.deepcopy(element) for _ in range(times)]


def _damaged_text(content: bytes, signs: list[bytes], rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        kind = rng.random()
        if kind < 0.35:
            _change_number(damaged, rng)
        elif kind < 0.75:
            place = rng.randrange(len(damaged) + 1)
            damaged[place:place] = rng.choice(signs)
        elif kind < 0.97:
            _damage_bytes(damaged, rng)
        else:
            _repeat(damaged, rng)
    return bytes(damaged)


def _change_number(damaged: bytearray, rng: random.Random) -> None:
    numbers = list(re.finditer(rb"\d+", damaged))
    if numbers:
        number = rng.choice(numbers)
        damaged[number.start() : number.end()] = rng.choice(NUMBERS)


def _damage_bytes(damaged: bytearray, rng: random.Random) -> None:
    place = rng.randrange(rng.choice([min(40, len(damaged)), len(damaged)]) or 1)
    kind = rng.random()
    if kind < 0.6:
        damaged[place : place + 1] = rng.randbytes(1)
    elif kind < 0.8:
        del damaged[place : place + rng.randrange(1, 100)]
    else:
        damaged[place:place] = rng.randbytes(rng.randrange(1, 9))


def _repeat(damaged: bytearray, rng: random.Random) -> None:
    """Put a part of the file in a few or very many times."""
    place = rng.randrange(len(damaged) + 1)
    part = damaged[place : place + rng.choice([1, 2, 8, 200])]
    most = (LARGEST - len(damaged)) // (len(part) or 1)
    damaged[place:place] = part * max(0, min(most, rng.choice([3, 100, 100_000])))
