"""Reads XML from strangers: no entities of its own, bounded depth and number of elements.

The parser under `xml.etree` expands declared entities up to a hundredfold, and a tree takes many
times the memory of its text; so the limits are set here, before any tree stands.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from chromasonic.melody_generation.data.tune_report import UnusableTune

DEEPEST = 64
MOST_ELEMENTS = 500_000


def parse_xml(content: bytes) -> Element:
    """The root of a document.

    Raises:
        UnusableTune: If it is no well-formed XML, declares anything of its own in its document
            type, or goes beyond 64 levels or 500,000 elements.
    """
    target = _BoundedBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_declarations
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        # The last two come from encodings that Python does not know or that cannot be used.
        if isinstance(error, UnusableTune):
            raise
        raise UnusableTune("not XML", str(error)) from None
    return target.builder.close()


class _BoundedBuilder:
    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self.depth = 0
        self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.count += 1
        if self.depth > DEEPEST or self.count > MOST_ELEMENTS:
            raise UnusableTune(
                "too large", f"more than {DEEPEST} levels or {MOST_ELEMENTS} elements of XML"
            )
        self.builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(tag)


def _refuse_declarations(
    name: str, system_id: str | None, public_id: str | None, has_internal_subset: bool
) -> None:
    if has_internal_subset:
        raise UnusableTune("unsafe XML", "its document type declares entities or elements")
