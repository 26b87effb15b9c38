"""Runs: the run folders that the page shows, found by name."""

from __future__ import annotations

import threading
from pathlib import Path

from fedchain.errors import FedchainError, RunRefused
from fedchain.page.pictures import ScanPictures
from fedchain.page.records import saved_pictures
from fedchain.results import Run
from fedchain.results.folder import MANIFEST
from fedchain.results.statuses import current_status

MOST_RUNS = 500
"""Largest number of runs that are listed."""
MOST_KEPT = 4
"""Largest number of runs whose scans are kept in memory."""


class Runs:
    """The runs in one folder: a run folder alone, or all run folders that lie in it."""

    def __init__(self, folder: Path, trust_user_parts: bool = False) -> None:
        """Take a folder.

        Args:
            folder: a run folder, or a folder of run folders.
            trust_user_parts: whether to import user-defined code that a run's scenario names.

        Raises:
            RunRefused: there is no run in the folder.
        """
        self.folder, self._trust = folder.absolute(), trust_user_parts
        self._pictures: dict[Path, ScanPictures | None] = {}
        self._lock = threading.Lock()
        if not self.folder.is_dir():
            raise RunRefused(f"{folder}: no such folder; give a run's folder, or a folder of runs")
        if not self.names():
            raise RunRefused(
                f"{folder}: has no run; give a run's folder, or a folder of runs such as runs"
            )

    @property
    def alone(self) -> bool:
        """Whether the folder is itself a run folder."""
        return (self.folder / MANIFEST).is_file()

    def names(self) -> list[str]:
        """Return the names of the runs, in alphabetical order."""
        if self.alone:
            return [self.folder.name]
        found = (path for path in self.folder.iterdir() if (path / MANIFEST).is_file())
        return sorted(path.name for path in found if path.name.isprintable())

    def find(self, name: str) -> Run:
        """Open the run with a name.

        Raises:
            KeyError: there is no such run.
            RunError: the folder holds no run of this version, or may not be read.
        """
        # A name is compared with those of the folders, and never made into a path: ``..`` is none.
        if name not in self.names():
            raise KeyError(name)
        path = self.folder if self.alone else self.folder / name
        if path.is_symlink():
            raise RunRefused(f"{path}: is a link; give the folder itself")
        return Run.open(path, trust_user_parts=self._trust)

    def pictures(self, run: Run) -> ScanPictures | None:
        """Return the pictures of a run, which are made once."""
        with self._lock:
            if run.folder not in self._pictures:
                if len(self._pictures) >= MOST_KEPT:
                    del self._pictures[next(iter(self._pictures))]
                self._pictures[run.folder] = saved_pictures(run)
            return self._pictures[run.folder]

    def keep_pictures(self, folder: Path, pictures: ScanPictures | None) -> None:
        """Keep the pictures of a run that has just begun."""
        with self._lock:
            self._pictures[folder.absolute()] = pictures

    def described(self) -> list[dict[str, str]]:
        """Return name, status and finding of each run; at most ``MOST_RUNS``."""
        return [self._described(name) for name in self.names()[:MOST_RUNS]]

    def _described(self, name: str) -> dict[str, str]:
        try:
            run = self.find(name)
            status, summary = current_status(run.folder), run.summary()
        except (FedchainError, KeyError, LookupError, ValueError) as error:
            return {"name": name, "status": "unreadable", "finding": str(error)}
        return {"name": name, "status": status, "finding": summary["finding"]}
