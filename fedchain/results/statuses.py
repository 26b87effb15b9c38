"""Statuses of runs."""

from __future__ import annotations

from pathlib import Path

from fedchain.results.folder import RunFolder

STOPPED = "stopped"
"""Status of a run that a callback has ended early: its results are written, and it can go on."""
COMPLETE = ("finished", "budget_exhausted", "stalled")
"""Statuses of a run that has nothing left to do."""
OVER = (*COMPLETE, STOPPED)
"""Statuses of a run that has ended, and has written its results."""
INTERRUPTED = "interrupted"
"""Status of a run that does not go on, whatever its manifest says."""


def current_status(folder: Path) -> str:
    """Return the status of the run in a folder, which is ``interrupted`` for one that was killed.

    Raises:
        RunError: as in ``RunFolder.manifest``.
    """
    status = str(RunFolder(folder).manifest["status"])
    killed = status == "running" and not RunFolder(folder).in_use()
    return INTERRUPTED if killed else status
