"""Result of the earlier search that `--from` names."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chromasonic.tuning.records import SearchResult


def load_earlier(place: str | None, study_name: str | None) -> "SearchResult | None":
    """Result of the search in a directory or at a database URL; None without a place.

    Raises:
        StudyError: There is none, or there are several.
    """
    if place is None:
        return None
    from chromasonic.tuning.session import load_result

    return load_result(place, study_name, options=("--from", "--from-study"))
