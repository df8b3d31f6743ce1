"""The command line: one short function a command."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from chromasonic import __version__
from chromasonic.errors import ChromasonicError, MissingExtra

if TYPE_CHECKING:
    from chromasonic.melody_generation.hyperparameter_search import HyperparameterSearchSpace
    from chromasonic.tuning.records import SearchResult

# Only what `--help` needs is imported above: the rest takes seconds to load.

EXIT_NOTHING_FOUND = 1
EXIT_USER_MISTAKE = 2
EXIT_INTERRUPTED = 130

ModelName = Literal["lstm", "gru", "rnn", "transformer", "sonic"]
DataName = Literal["corpus", "synthetic"]
SamplerName = Literal["auto", "gp", "tpe", "random", "grid", "qmc", "cmaes"]
PrunerName = Literal["median", "successive_halving", "hyperband", "none"]

SYNTHETIC_LENGTH = 32
VOCAB_SIZE = 88

app = typer.Typer(
    help="Finds the best hyperparameters of melody models.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

OutputDir = Annotated[Path, typer.Option(help="Where results go, and where a search goes on.")]
Storage = Annotated[
    str | None, typer.Option(help="Database URL; default: a file in --output-dir.")
]
StudyName = Annotated[str, typer.Option(help="Name of the study in its storage.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


def main() -> None:
    """Runs the command line."""
    app()


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Show the version and end.")] = False,
) -> None:
    """Finds the best hyperparameters of melody models."""
    if version:
        typer.echo(f"chromasonic {__version__}")
        raise typer.Exit


@app.command()
def search(
    n_trials: Annotated[
        int, typer.Option(min=1, help="Total of trials, earlier runs included.")
    ] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="The most epochs a trial trains.")] = 20,
    n_sequences: Annotated[
        int, typer.Option(min=1, help="Melodies, before they are split.")
    ] = 500,
    output_dir: OutputDir = Path("hyperparameter_search_results"),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, mps, or auto.")] = "auto",
    plot: Annotated[bool, typer.Option("--plot", help="Draw the results, too.")] = False,
    model: Annotated[ModelName, typer.Option(help="The model that is searched.")] = "lstm",
    data: Annotated[DataName, typer.Option(help="Real tunes, or made-up ones.")] = "corpus",
    data_seed: Annotated[int, typer.Option(help="Chooses or makes the melodies.")] = 0,
    space: Annotated[
        Path | None, typer.Option(help="TOML file of what is searched; default: by model.")
    ] = None,
    sampler: Annotated[SamplerName, typer.Option(help="How parameters are chosen.")] = "auto",
    pruner: Annotated[PrunerName, typer.Option(help="How bad trials are ended.")] = "median",
    timeout: Annotated[float | None, typer.Option(min=0.001, help="Seconds for this run.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="End after so many trials without a better one.")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="End when a loss is no larger than this.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of all that is random; default: drawn.")
    ] = None,
    storage: Storage = None,
    study_name: StudyName = "melody_search",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew; what there is stays beside it.")
    ] = False,
    accept_changed_model: Annotated[
        bool, typer.Option("--accept-changed-model", help="Go on though the source differs.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of a trial.")] = 1,
    debug: Debug = False,
) -> None:
    """Search the hyperparameters of a melody model.

    The same command on the same directory goes on where it stopped. Ctrl-C stops it.
    """
    with _errors_in_one_line(debug):
        if plot:
            _require_extra("matplotlib", "report")
        _require_extra("torch", "melody")
        from chromasonic.melody_generation.hyperparameter_search import HyperparameterOptimizer
        from chromasonic.melody_generation.models import MODELS

        train_data, val_data = _melodies(data, n_sequences, data_seed)
        optimizer = HyperparameterOptimizer(
            MODELS[model], _search_space(model, space, epochs), device, output_dir
        )
        result = optimizer.optimize(
            train_data,
            val_data,
            VOCAB_SIZE,
            n_trials,
            timeout,
            study_name,
            sampler,
            pruner,
            seed,
            storage,
            patience=patience,
            target=target,
            fresh=fresh,
            accept_changed_model=accept_changed_model,
            data_description={"source": data, "n_sequences": n_sequences, "seed": data_seed},
            threads=threads,
        )
        if plot:
            _draw(result, output_dir)
    _exit(result.stopped_by, found=result.best_trial is not None)


@app.command()
def report(
    output_dir: OutputDir = Path("hyperparameter_search_results"),
    storage: Storage = None,
    study_name: StudyName = "melody_search",
    plot: Annotated[bool, typer.Option("--plot", help="Draw the results, too.")] = False,
    debug: Debug = False,
) -> None:
    """Write a search's files again, from its study alone."""
    with _errors_in_one_line(debug):
        if plot:
            _require_extra("matplotlib", "report")
        from chromasonic.reporting.result_files import write_result_files
        from chromasonic.reporting.text import summary_lines
        from chromasonic.tuning.session import read_session

        result = read_session(output_dir, study_name, storage)
        write_result_files(result, output_dir)
        for line in summary_lines(result):
            typer.echo(line)
        if plot:
            _draw(result, output_dir)


def _melodies(data: DataName, n_sequences: int, seed: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Melodies to learn from, and melodies that are scored."""
    if data == "synthetic":
        from chromasonic.melody_generation.data.synthetic import create_training_data

        return create_training_data(n_sequences, SYNTHETIC_LENGTH, VOCAB_SIZE, 0.8, seed)
    from chromasonic.melody_generation.data import load_corpus

    corpus = load_corpus(n_sequences, seed)
    return corpus.train, corpus.validation


def _search_space(model: ModelName, file: Path | None, epochs: int) -> "HyperparameterSearchSpace":
    from chromasonic.bayesopt import read_space
    from chromasonic.melody_generation.hyperparameter_search import HyperparameterSearchSpace

    if file is not None:
        return HyperparameterSearchSpace.from_space(read_space(file), epochs)
    if model == "sonic":
        return HyperparameterSearchSpace.sonic_lstm(epochs)
    return HyperparameterSearchSpace(num_epochs=epochs)


def _draw(result: "SearchResult", output_dir: Path) -> None:
    from chromasonic.reporting.figures import write_plots

    for path in write_plots(result, output_dir / "plots"):
        typer.echo(f"Plot: {path}")


def _require_extra(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise MissingExtra(
            f"{package} must be installed for this, but is not. "
            f'Run: pip install "chromasonic[{extra}]"'
        )


def _exit(stopped_by: str | None, *, found: bool) -> None:
    if stopped_by == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)
    if not found:
        typer.echo("No trial has been trained to its end: see the reasons above.", err=True)
        raise typer.Exit(EXIT_NOTHING_FOUND)


@contextmanager
def _errors_in_one_line(debug: bool) -> Iterator[None]:
    """Shows a foreseen error as one line, and ends with an exit code that tells what it was."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (ChromasonicError, OSError) as error:
        if debug:
            raise
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(EXIT_USER_MISTAKE) from None
