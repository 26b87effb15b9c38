"""Statuses of runs."""

STOPPED = "stopped"
"""Status of a run that a callback has ended early: its results are written, and it can go on."""
COMPLETE = ("finished", "budget_exhausted", "stalled")
"""Statuses of a run that has nothing left to do."""
OVER = (*COMPLETE, STOPPED)
"""Statuses of a run that has ended, and has written its results."""
INTERRUPTED = "interrupted"
"""Status of a run that does not go on, whatever its manifest says."""
