import subprocess
import sys

import pytest

import chromasonic


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import chromasonic",
        "import chromasonic.cli",
        "import chromasonic.reporting.figures, chromasonic.reporting.result_files",
        "import chromasonic.tuning.driver",
    ],
)
def test_heavy_packages_stay_out_until_they_are_needed(statement):
    loaded = modules_after(statement)
    assert not {"torch", "matplotlib", "plotly", "ray"} & loaded


def test_the_help_of_the_command_line_loads_no_heavy_package():
    loaded = modules_after(
        "from chromasonic.cli import app\ntry: app(['search', '--help'])\nexcept SystemExit: pass"
    )
    assert "chromasonic.cli" in loaded
    assert not {"torch", "matplotlib", "optuna", "numpy"} & loaded


def test_the_optimizer_can_be_had_without_optuna():
    loaded = modules_after("import chromasonic.bayesopt")
    assert "numpy" in loaded
    assert not {"optuna", "torch", "rich"} & loaded


def test_the_public_names_are_those_of_all():
    for name in chromasonic.__all__:
        assert getattr(chromasonic, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        chromasonic.no_such_name  # noqa: B018
