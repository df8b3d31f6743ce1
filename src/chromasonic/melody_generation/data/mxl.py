"""Unpacks compressed MusicXML: a zip in which `META-INF/container.xml` names the score."""

from __future__ import annotations

import io
import zipfile

from chromasonic.melody_generation.data.bounded_xml import parse_xml
from chromasonic.melody_generation.data.melody_line import MelodyLine
from chromasonic.melody_generation.data.musicxml import read_musicxml
from chromasonic.melody_generation.data.tune_report import UnusableTune
from chromasonic.melody_generation.data.tune_sources import (
    MOST_BYTES_OF_A_FILE,
    ByteBudget,
    open_zip,
    read_member,
)

_CONTAINER = "META-INF/container.xml"
_MOST_BYTES_OF_DIRECTORY = 1_000_000


def read_mxl(content: bytes) -> MelodyLine:
    """The melody of the score in a compressed file.

    Raises:
        UnusableTune: If the archive is damaged, holds no score, or the score cannot be used.
    """
    budget = ByteBudget(2 * MOST_BYTES_OF_A_FILE)
    with open_zip(io.BytesIO(content), _MOST_BYTES_OF_DIRECTORY) as archive:
        return read_musicxml(read_member(archive, _find_score(archive, budget), budget))


def _find_score(archive: zipfile.ZipFile, budget: ByteBudget) -> zipfile.ZipInfo:
    members = {member.filename: member for member in archive.infolist()}
    if _CONTAINER in members:
        container = parse_xml(read_member(archive, members[_CONTAINER], budget))
        named = [element.get("full-path") for element in container.iter("rootfile")]
    else:
        named = [name for name in members if name.lower().endswith((".xml", ".musicxml"))]
    for name in named:
        if name in members:
            return members[name]
    raise UnusableTune("no score", "no member of the archive is one")
