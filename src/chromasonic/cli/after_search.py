"""What the commands after a search begin with."""

from pathlib import Path
from typing import TYPE_CHECKING

from chromasonic.cli.exits import require_extra

if TYPE_CHECKING:
    from chromasonic.melody_generation.after_search import AfterSearch


def after_search(
    results: Path, top: int, repeats: int, device: str, executor: str, jobs: int | None
) -> "AfterSearch":
    """The search in a directory, with its melodies loaded again.

    Raises:
        ChromasonicError: There is none, or its melodies or model cannot be had.
    """
    require_extra("torch", "melody")
    import torch

    from chromasonic.melody_generation.after_search import AfterSearch
    from chromasonic.melody_generation.devices import choose_device
    from chromasonic.melody_generation.finished_search import FinishedSearch
    from chromasonic.reporting.result_files import read_results

    torch.set_num_threads(1)
    search = FinishedSearch.from_source(read_results(results))
    folder = results if results.is_dir() else results.parent
    chosen = str(choose_device(device))
    return AfterSearch(search, folder, top, repeats, chosen, executor, jobs)
