import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "bayesian_optimization.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_every_block_of_the_page_on_bayesian_optimization_runs(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    names = {}
    for block in BLOCK.finditer(text):
        line = text[: block.start(1)].count("\n")
        # With its line in the page, so that an error tells where it is.
        exec(compile("\n" * line + block[1], PAGE.name, "exec"), names)
    assert {"trajectory.png", "comparison.png"} == {path.name for path in tmp_path.iterdir()}
    assert names["result"].importance[0].names == ("x",)
