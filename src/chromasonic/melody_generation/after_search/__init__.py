"""Steps after a search: winner, final model, ensemble."""

from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.steps import (
    AfterSearch,
    build_ensemble,
    train_final_model,
)

__all__ = ["AfterSearch", "FinishedSearch", "build_ensemble", "train_final_model"]
