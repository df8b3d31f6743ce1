import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "benchmarks", "examples", "scripts")
QUESTIONS = {"What", "Who", "How", "Whether", "When", "Where", "Why", "Which"}
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def first_words(source):
    """The line and first word of each docstring in a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text.split()[0].strip(".,:;")


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_opens_with_a_question(folder):
    questions = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, word in first_words(path.read_text("utf-8"))
        if word in QUESTIONS
    ]
    assert questions == []


def test_the_first_word_of_every_kind_of_docstring_is_found():
    source = (
        '"""What."""\nclass A:\n    """How, then."""\n    def f(self):\n        """Why: x."""\n'
    )
    assert list(first_words(source)) == [(1, "What"), (2, "How"), (4, "Why")]
