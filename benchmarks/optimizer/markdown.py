"""Tables as Markdown has them."""


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """A table, line by line."""
    rule = ["---"] * len(heads)
    return ["| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows)]
