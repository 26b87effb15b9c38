"""Run callback: follows the progress of a run, for example to display it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fedchain.results import MessageRecord, RoundRecord
from fedchain.simulation.setup import RunSetup


class RunCallback(Protocol):
    """A user-defined object whose methods a run calls. It must not change the run."""

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Called before the first round."""

    def on_round_end(self, record: RoundRecord, messages: list[MessageRecord]) -> None:
        """Called after each round, with the records of the round and of its messages."""
