"""Result of the earlier search that `--from` names."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chromasonic.tuning.records import SearchResult


def read_earlier(place: str | None, study_name: str | None) -> "SearchResult | None":
    """Result of the search in a directory or at a database URL; None without a place.

    Raises:
        StudyError: There is none, or there are several.
    """
    if place is None:
        return None
    from chromasonic.tuning.session import read_session

    storage = place if "://" in place else None
    options = ("--from and the URL of its database", "--from-study")
    return read_session(Path(place), study_name, storage, options=options)
