"""Numbers with a noun that fits them, for texts."""


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: `1 melody`, `2 melodies`, `1,200 notes`.

    Args:
        n: The number, written with thousands separators.
        singular: The noun for 1.
        plural: The noun for all others; `singular` with an s by default.
    """
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"
