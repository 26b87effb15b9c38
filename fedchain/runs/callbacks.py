"""Who is told of a run while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fedchain.results import MessageRecord, RoundRecord
from fedchain.simulation.setup import World


class Audience(Protocol):
    """Hears of a run, and changes nothing about it."""

    def begins(self, folder: Path, world: World) -> None:
        """Hear that the parts are ready and the first round begins."""

    def hears(self, record: RoundRecord, messages: list[MessageRecord]) -> None:
        """Hear of a round that is over, and what became of its messages."""


class Nobody:
    """An audience that does not listen."""

    def begins(self, folder: Path, world: World) -> None:
        """Hear nothing."""

    def hears(self, record: RoundRecord, messages: list[MessageRecord]) -> None:
        """Hear nothing."""


NOBODY = Nobody()
"""The audience of a run that nobody watches."""
