import importlib
import inspect
import pkgutil
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


@pytest.mark.parametrize("command", ["search", "tune", "refine", "report", "cancel"])
def test_the_help_of_the_command_line_loads_no_heavy_package(command):
    loaded = modules_after(
        "from chromasonic.cli import app\n"
        f"try: app([{command!r}, '--help'])\n"
        "except SystemExit: pass"
    )
    assert f"chromasonic.cli.commands.{command}" in loaded
    assert not {"torch", "matplotlib", "optuna", "numpy"} & loaded


def test_the_optimizer_can_be_had_without_optuna():
    loaded = modules_after("import chromasonic.bayesopt")
    assert "numpy" in loaded
    assert not {"optuna", "torch", "rich"} & loaded


PACKAGES = ["chromasonic", "chromasonic.bayesopt"]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_public_is_what_all_names(package):
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    public = {
        name
        for name in vars(module)
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name))
    }
    # These only serve the file itself.
    assert public - {"TYPE_CHECKING", "Any", "import_module"} <= set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_submodule_bears_a_public_name(package):
    module = importlib.import_module(package)
    submodules = {info.name for info in pkgutil.iter_modules(module.__path__)}
    assert not submodules & set(module.__all__)


def test_a_name_that_is_not_public_is_refused():
    with pytest.raises(AttributeError, match="no_such_name"):
        chromasonic.no_such_name  # noqa: B018


def test_the_optimizer_and_its_pictures_are_had_without_torch():
    loaded = modules_after(
        "from chromasonic import bayesian_optimization, plot_optimization_trajectory"
    )
    assert "scipy" in loaded
    assert not {"torch", "matplotlib"} & loaded


def test_importing_the_package_alone_loads_next_to_nothing():
    assert not {"numpy", "optuna", "scipy"} & modules_after("import chromasonic")
