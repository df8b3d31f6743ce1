"""`chromasonic refine`: the space to search next."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chromasonic.cli._exits import errors_in_one_line
from chromasonic.cli._options import Debug, From
from chromasonic.errors import plain_text

if TYPE_CHECKING:
    from chromasonic.tuning.records import SearchResult

_DEFAULTS = {"sampler": "gp", "pruner": "median", "executor": "process"}
_OF_DATA = {
    "source": "--data",
    "tokens": "--tokens",
    "n_sequences": "--n-sequences",
    "seed": "--data-seed",
    "outside": "--outside",
    "max_notes": "--max-notes",
}
_NOT_OPTIONS = {"train", "validation", "sha256", "options"}


def next_command(
    result: "SearchResult", earlier: list[str], space: Path, output_dir: Path, n_trials: int
) -> list[str] | None:
    """Words of the command that searches the next space; None where no command can.

    Args:
        result: What the search has found.
        earlier: The options that say where it is.
        space: The file of the next space.
        output_dir: Where the next search goes.
        n_trials: The total of its trials.
    """
    what = _objective(result) if "objective" in result else _melody_model(result)
    if what is None:
        return None
    own = [trial.settings for trial in result.trials if trial.origin is None]
    settings = own[-1] if own else {}
    how = [
        word
        for name in ("sampler", "pruner", "executor", "device")
        if settings.get(name, _DEFAULTS.get(name)) != _DEFAULTS.get(name)
        for word in (f"--{name}", str(settings[name]))
    ]
    where = ["--space", str(space), "--output-dir", str(output_dir), "--n-trials", str(n_trials)]
    return ["chromasonic", *what, *earlier, *where, *how]


def next_output_dir(output_dir: Path) -> Path:
    """A new directory name beside that of the search."""
    stem = re.sub(r"_refined(_\d+)?$", "", output_dir.name or output_dir.resolve().name)
    number, found = 1, output_dir.with_name(f"{stem}_refined")
    while found.exists():
        number += 1
        found = output_dir.with_name(f"{stem}_refined_{number}")
    return found


def _objective(result: "SearchResult") -> list[str] | None:
    if (name := result.get("imported_from")) is None:
        return None
    return ["tune", name, *(["--maximize"] if result.maximize else [])]


def _melody_model(result: "SearchResult") -> list[str] | None:
    model = _name_of_model(result["model"]["name"])
    data = {**result["data"], **result["data"].get("options", {})}
    data = {key: data[key] for key in data if key not in _NOT_OPTIONS}
    if model is None or "source" not in data or not data.keys() <= _OF_DATA.keys():
        return None
    words = [word for key, value in data.items() for word in (_OF_DATA[key], str(value))]
    return ["search", "--model", model, "--epochs", str(result["num_epochs"]), *words]


def _name_of_model(searched: str) -> str | None:
    if find_spec("torch") is None:
        return None
    from chromasonic.melody_generation.models import MODELS

    classes = {f"{cls.__module__}.{cls.__qualname__}": name for name, cls in MODELS.items()}
    return classes.get(searched)


SPACE_FILE = "refined_space.toml"


def refine(
    from_: From = Path("hyperparameter_search_results"),
    storage: Annotated[
        str | None, typer.Option(help="Database URL; default: a file in --from.")
    ] = None,
    study_name: Annotated[
        str | None, typer.Option(help="Name of the study; default: the only one.")
    ] = None,
    space_file: Annotated[
        Path | None,
        typer.Option(help=f"Where the next space is written; default: {SPACE_FILE} in --from."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Propose the next space, by where the good trials of a search lie.

    Ranges are narrowed, widened or held constant, each with its reason. The command that is
    shown at the end searches the new space, and starts from the trials that fit it.
    """
    with errors_in_one_line(debug):
        from chromasonic.tuning.files import write_text
        from chromasonic.tuning.refinement import refine_space
        from chromasonic.tuning.session import load_result
        from chromasonic.tuning.storage.opening import safe_url

        result = load_result(storage or from_, study_name, options=("--storage", "--study-name"))
        refinement = refine_space(result)
        for decision in refinement.decisions:
            typer.echo(plain_text(str(decision)))
        file = space_file or (from_ / SPACE_FILE if from_.is_dir() else Path(SPACE_FILE))
        write_text(file, refinement.to_toml())
        n_fitting = len(refinement.fitting_trials)
        typer.echo(f"Space: {file}")
        typer.echo(f"{n_fitting} of {len(result.trials)} trials fit it.")
        place = str(from_) if storage is None else safe_url(storage)
        earlier = ["--from", place, *(["--from-study", study_name] if study_name else [])]
        n_own = sum(trial.origin is None for trial in result.trials)
        n_trials, output_dir = n_fitting + max(1, n_own), next_output_dir(from_)
        command = next_command(result, earlier, file, output_dir, n_trials)
        if command is None:
            typer.echo(
                "To go on, give tune or optimize this space, earlier=load_result(...), "
                f"n_trials={n_trials} and another output_dir."
            )
        else:
            typer.echo(f"To go on: {shlex.join(command)}")
