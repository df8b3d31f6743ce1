"""The paths of everything that a search leaves in its output directory."""

import shutil
from dataclasses import dataclass
from pathlib import Path

STUDY_FILE = "study.db"
RESULTS_FILE = "optimization_results.json"


@dataclass(frozen=True)
class SearchFolder:
    """The output directory of a search.

    Attributes:
        root: The directory, which need not exist.
    """

    root: Path

    @property
    def study(self) -> Path:
        """SQLite file of the study, unless it is in another storage."""
        return self.root / STUDY_FILE

    @property
    def lock(self) -> Path:
        """File that the driver locks while it runs."""
        return self.root / ".search.lock"

    @property
    def cancellations(self) -> Path:
        """Folder with one empty file for each trial to cancel."""
        return self.root / ".cancel"

    @property
    def checkpoints(self) -> Path:
        """Folder with a folder for each unfinished trial."""
        return self.root / "checkpoints"

    @property
    def best(self) -> Path:
        """Best hyperparameters as JSON."""
        return self.root / "best_hyperparameters.json"

    @property
    def results(self) -> Path:
        """Result of the search as JSON; `load_result` reads it."""
        return self.root / RESULTS_FILE

    @property
    def report(self) -> Path:
        """Report in plain text."""
        return self.root / "optimization_report.txt"

    @property
    def plots(self) -> Path:
        """Folder of figures."""
        return self.root / "plots"

    @property
    def best_model(self) -> Path:
        """Model folder with the weights of the best trial."""
        return self.root / "best_model"

    @property
    def repeats(self) -> Path:
        """Folder of the study that trains the best configurations again."""
        return self.root / "repeats"

    @property
    def winner(self) -> Path:
        """Winner after repeated training, as JSON."""
        return self.root / "winner.json"

    @property
    def final_model(self) -> Path:
        """Model folder of the final model."""
        return self.root / "final_model"

    @property
    def ensemble(self) -> Path:
        """Model folder of the ensemble."""
        return self.root / "ensemble"

    def set_aside(self, study_name: str) -> None:
        """Moves the files of a study into `earlier/<study_name>`; its database stays.

        What else is in the folder is the user's own.
        """
        target = self.root / "earlier" / study_name
        files = (self.best, self.results, self.report, self.winner)
        folders = (self.best_model, self.checkpoints, self.plots, self.repeats)
        for path in files + folders:
            if path.exists():
                target.mkdir(parents=True, exist_ok=True)
                shutil.move(path, target / path.name)
