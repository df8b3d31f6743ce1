"""Lines on a terminal."""

from rich.console import Console

from chromasonic.errors import plain_text


def print_lines(console: Console, *lines: str) -> None:
    """Prints lines as plain text: without markup, colours, added line breaks or escape codes."""
    for line in lines:
        console.print(plain_text(line), markup=False, highlight=False, soft_wrap=True)
