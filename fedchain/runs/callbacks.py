"""Run callback: an object that is told how a run goes on, such as a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fedchain.results import MessageRecord, RoundRecord
from fedchain.simulation.setup import RunSetup


class RunCallback(Protocol):
    """An object whose methods a run calls; it changes nothing about the run."""

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Act when the parts are ready and the first round begins."""

    def on_round_end(self, record: RoundRecord, messages: list[MessageRecord]) -> None:
        """Act when a round is over, and it is known what became of its messages."""


class NoCallback:
    """A callback that does nothing."""

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Do nothing."""

    def on_round_end(self, record: RoundRecord, messages: list[MessageRecord]) -> None:
        """Do nothing."""


NO_CALLBACK = NoCallback()
"""The callback of a run that nobody watches."""
