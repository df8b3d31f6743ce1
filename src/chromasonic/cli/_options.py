"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def _bytes_of(size: str) -> int:
    from chromasonic.tuning.executors.executor_config import bytes_of

    try:
        return bytes_of(size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


SamplerName = Literal["auto", "gp", "tpe", "random", "grid", "qmc", "cmaes"]
PrunerName = Literal["median", "successive_halving", "hyperband", "none"]
ExecutorName = Literal["process", "inline", "ray"]
TokensName = Literal["pitch", "pitch_duration"]
OutOfMemoryRule = Literal["fail", "retry"]

OutputDir = Annotated[Path, typer.Option(help="Where results go, and where a search goes on.")]
Storage = Annotated[
    str | None, typer.Option(help="Database URL; default: a file in --output-dir.")
]
StudyName = Annotated[str, typer.Option(help="Name of the study in its storage.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]
Plot = Annotated[bool, typer.Option("--plot", help="Draw the results, too.")]

NTrials = Annotated[int, typer.Option(min=1, help="Total of trials, earlier runs included.")]
Sampler = Annotated[SamplerName, typer.Option(help="How parameters are chosen.")]
Pruner = Annotated[PrunerName, typer.Option(help="How bad trials are ended.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Of all that is random; default: drawn.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew; what there is stays beside it.")]
Earlier = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Start from the trials of an earlier search, in a directory or database, that fit.",
    ),
]
EarlierStudy = Annotated[
    str | None, typer.Option(help="Name of the earlier study; default: the only one.")
]
Timeout = Annotated[float | None, typer.Option(min=0.001, help="Seconds for this run.")]
Patience = Annotated[
    int | None, typer.Option(min=1, help="End after so many trials without a better one.")
]
Target = Annotated[float | None, typer.Option(help="End when a value is as good as this.")]

Executor = Annotated[ExecutorName, typer.Option(help="Where trials run.")]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Trials at the same time; default: what the machine can bear."),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads of a trial.")]
MemoryLimit = Annotated[
    int | None,
    typer.Option(
        parser=_bytes_of,
        metavar="SIZE",
        help="Memory a trial may use, such as 2GB; default: no limit.",
    ),
]
TrialTimeout = Annotated[float | None, typer.Option(min=0.001, help="Seconds a trial may take.")]
StallTimeout = Annotated[
    float | None, typer.Option(min=0.001, help="Seconds a trial may go without an epoch's end.")
]
OnOom = Annotated[
    OutOfMemoryRule, typer.Option(help="What becomes of a trial that runs out of memory.")
]
NoDeterministic = Annotated[
    bool, typer.Option("--no-deterministic", help="Let no job wait for another.")
]
Address = Annotated[str | None, typer.Option(help="Of the Ray cluster, with --executor ray.")]

Data = Annotated[
    str,
    typer.Option(
        help="corpus, synthetic, music21:essen, music21:bach, or a folder, zip or file of tunes.",
    ),
]
Tokens = Annotated[
    TokensName | None,
    typer.Option(help="What is learnt of a note; default: its pitch and duration."),
]

From = Annotated[
    Path,
    typer.Option("--from", metavar="DIR", help="Where a search left its results."),
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code", help="Import the model's class even if this computer did not write it."
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, mps, or auto.")]
Top = Annotated[int, typer.Option(min=1, help="How many of the best configurations to compare.")]
Repeats = Annotated[int, typer.Option(min=2, help="The most trainings of each.")]
