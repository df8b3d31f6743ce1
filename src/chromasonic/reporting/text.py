"""Text of reports and progress lines."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.errors import StudyError, one_line
from chromasonic.tuning.files import read_bounded_json
from chromasonic.tuning.records import SearchResult, TrialRecord
from chromasonic.tuning.search_folder import SearchFolder
from chromasonic.tuning.stored import StoredWinner, require_stored


def read_winner(folder: Path) -> dict[str, Any] | None:
    """Contents of `winner.json` in a search's directory; None if there is none.

    Raises:
        StudyError: It is damaged.
    """
    file = SearchFolder(folder).winner
    try:
        found: dict[str, Any] = read_bounded_json(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StudyError(f"{file.name} is damaged: {one_line(error)}.") from None
    require_stored(found, StoredWinner, file.name)
    return found


def winner_lines(winner: Mapping[str, Any], n_trials: int) -> list[str]:
    """The configurations that were trained again, as a table for a reader.

    Args:
        winner: As `read_winner` returns it.
        n_trials: How many trials the search has by now.
    """
    tied = ", ".join(map(str, winner["ties"]))
    lines = [
        f"Winner, trained again with fresh seeds: trial {winner['trial']}"
        + (f", tied with trial {tied}" if tied else ""),
        "  trial   in the search   trained again   seeds   behind the winner (95% interval)",
        *(_row(candidate) for candidate in winner["candidates"]),
        _optimism(winner["candidates"]),
    ]
    if n_trials > winner["n_trials"]:
        lines.append(
            f"It was found among the first {winner['n_trials']} trials: chromasonic confirm "
            "looks at the later ones, too."
        )
    return lines


def _row(candidate: Mapping[str, Any]) -> str:
    behind = candidate["behind"]
    interval = (
        f"+{behind['estimate']:.4f} ({behind['low']:+.4f} to {behind['high']:+.4f})"
        if behind
        else ""
    )
    losses = candidate["losses"]
    return (
        f"  {candidate['trial']:>5}   {candidate['search_loss']:>13.4f}   "
        f"{sum(losses) / len(losses):>13.4f}   {len(losses):>5}   {interval}"
    ).rstrip()


def _optimism(candidates: list[Mapping[str, Any]]) -> str:
    """Optimism of the search's best loss against the same configuration trained again."""
    best = min(candidates, key=lambda candidate: candidate["search_loss"])
    again = sum(best["losses"]) / len(best["losses"])
    return (
        f"Trial {best['trial']}, the best of the search, had a loss of {best['search_loss']:.4f} "
        f"there and has {again:.4f} when trained again."
    )


REPORT_TRIALS = 10


def report(
    result: SearchResult,
    *,
    in_full: bool = True,
    winner: Mapping[str, Any] | None = None,
    note: str = "",
) -> str:
    """The best trials of a search, ranked, in the form of `optimization_report.txt`.

    Args:
        result: What it found.
        in_full: Whether to tell the importance of parameters, too, which takes up to a second
            to work out.
        winner: What `winner.json` holds, if the best few have been trained again.
        note: A line to be told besides, such as that `winner.json` is damaged.
    """
    ranking = result.ranking()[:REPORT_TRIALS]
    head = ["HYPERPARAMETER SEARCH REPORT", "", *summary_lines(result), ""]
    if note:
        head += [note, ""]
    if winner:
        head += [*winner_lines(winner, len(result.trials)), ""]
    if in_full:
        head += [*importance_lines(result), ""]
    if not ranking:
        return "\n".join([*head, "No trial has been trained to its end yet.", ""])
    name = value_name(result)
    ranks = [_rank_lines(rank, trial, name) for rank, trial in enumerate(ranking, start=1)]
    return "\n".join([*head, *("\n".join([*lines, ""]) for lines in ranks)])


def summary_lines(result: SearchResult) -> list[str]:
    """Summary of a search: space, endings, and the best value beside the baselines."""
    lines = []
    if study_name := result.get("study_name"):
        lines.append(f"Study: {study_name} (seed {result.get('seed')})")
    if model := result.get("model"):
        lines.append(f"Model: {model['name']}")
    lines.append(f"Trials: {len(result.trials)} ({_endings(result)})")
    if earlier := result.get("earlier"):
        lines.append(earlier_line(earlier))
    lines.append(f"Total time: {result.total_time:.2f}s")
    if best := result.best_trial:
        where = f"trial {best.number}"
        if origin := best.origin:
            where += f": trial {origin['trial']} of {origin['study_name']} in {origin['storage']}"
        lines.append(f"Best value: {best.value:.4f}{_unit(result)} ({where})")
        if parts := _parts(best, result.get("factors", ())):
            lines.append(f"  of which {parts}")
    if baseline := best_baseline(result):
        name, loss = baseline
        lines.append(f"Best n-gram on the same notes: {loss:.4f}{_unit(result)} ({name})")
    return lines


def beginning_lines(before: SearchResult, n_trials: int) -> list[str]:
    """Lines to show when a search begins or goes on.

    Args:
        before: The search as it stands.
        n_trials: The total of trials.
    """
    done = len(before.trials)
    has_begun = any(trial.origin is None for trial in before.trials)
    how = f"going on after {done} of {n_trials} trials" if has_begun else "a new search"
    study = f"Study {before['study_name']} in {before['storage']}, seed {before['seed']}: {how}"
    space = before.space.describe() if before.space else []
    lines = [study, *(f"  {line}" for line in space)]
    if earlier := before.get("earlier"):
        lines.append(f"{earlier_line(earlier)}, and count among the {n_trials}")
    return lines


def earlier_line(earlier: Mapping[str, Any]) -> str:
    """Number of trials taken over from an earlier search, and why others did not fit."""
    study = f"{earlier['study_name']} in {earlier['storage']}"
    misfits = ", ".join(f"{name} {count}" for name, count in earlier["misfits"].items())
    others = f" (others do not: {misfits})" if misfits else ""
    return f"{earlier['trials']} of {earlier['of']} trials of {study} fit{others}"


def ending_lines(result: SearchResult, folder: Path | None) -> list[str]:
    """Lines to show when a search ends or is stopped.

    Args:
        result: What it found.
        folder: Where its files are; None if it keeps none.
    """
    lines = summary_lines(result)
    if result.best_trial is not None:
        lines.append("Best hyperparameters:")
        params = result.best_trial.params
        lines += [f"  {name}: {_value(value)}" for name, value in params.items()]
    if folder is None:
        return lines
    lines.append(f"Results: {folder}")
    if result.stopped_by in ("interrupted", "timeout"):
        lines.append(f"Stopped: {result.stopped_by}. The same command or call goes on from here.")
    return lines


def importance_lines(result: SearchResult) -> list[str]:
    """Share of variance explained by each hyperparameter, the most important first."""
    if not result.importance:
        return ["Importance of hyperparameters: not enough data yet"]
    width = max(len(effect.name) for effect in result.importance)
    return [
        "Importance of hyperparameters "
        f"(share of the variance of the {value_name(result)}, with 95% interval):",
        *(
            f"  {effect.name:{width}}  {_share(effect.total)}, alone {_share(effect.main)}"
            for effect in result.importance
        ),
    ]


def value_name(result: Mapping[str, Any]) -> str:
    """Name of the objective value: a loss for models."""
    return "value" if "objective" in result else "loss"


def best_baseline(result: Mapping[str, Any]) -> tuple[str, float] | None:
    """The baseline with the lowest loss, by name; None where there is none."""
    baselines: Mapping[str, float] = result.get("baselines") or {}
    return min(baselines.items(), key=lambda item: item[1], default=None)


def trial_line(trial: TrialRecord) -> str:
    """One trial in one line."""
    value = "no value" if trial.value is None else f"{trial.value:.4f}"
    epochs = len(trial.learning_curve)
    unit = "epoch" if epochs == 1 else "epochs"
    line = f"trial {trial.number}: {value}  {trial.ending} after {epochs} {unit}"
    if trial.reason and trial.ending not in ("pruned",):
        line += f" ({trial.reason})"
    return f"{line}, {trial.training_time:.1f}s"


def params_line(params: Mapping[str, Any]) -> str:
    """Hyperparameters in one line."""
    return ", ".join(f"{name}={_value(value)}" for name, value in params.items())


def _parts(trial: TrialRecord, factors: Sequence[str]) -> str:
    """Losses by factor (duration, pitch) at a trial's best epoch, where there are several."""
    metrics = trial.best_row.metrics if trial.best_row else {}
    return ", ".join(
        f"{name} {metrics[f'{name}_loss']:.4f}" for name in factors if f"{name}_loss" in metrics
    )


def _endings(result: SearchResult) -> str:
    counts = Counter(trial.ending for trial in result.trials)
    return ", ".join(f"{count} {ending}" for ending, count in counts.most_common()) or "none yet"


def _unit(result: Mapping[str, Any]) -> str:
    unit = result.get("unit")
    return f" {unit}" if unit else ""


def _rank_lines(rank: int, trial: TrialRecord, name: str) -> list[str]:
    label = "Val Loss" if name == "loss" else name.title()
    lines = [f"RANK {rank}: Trial {trial.number}", f"  {label}: {trial.value:.4f}"]
    if trial.train_loss is not None:
        lines.append(f"  Train {name.title()}: {trial.train_loss:.4f}")
    lines.append(f"  Best Epoch: {trial.best_epoch}")
    lines.append(f"  Training Time: {trial.training_time:.2f}s")
    if trial.n_parameters is not None:
        lines.append(f"  Parameters: {trial.n_parameters:,}")
    lines.append("  Hyperparameters:")
    return [*lines, *(f"    {name}: {_value(value)}" for name, value in trial.params.items())]


def _share(effect: Interval) -> str:
    return f"{effect.estimate:.2f} ({effect.low:.2f} to {effect.high:.2f})"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
