"""Timing: measures the wall time of each stage of a round, and shows durations as text."""

from __future__ import annotations

import time
from collections.abc import Mapping

STAGES = (
    "gradients",
    "noise",
    "signing",
    "accounting",
    "network",
    "aggregation",
    "work",
    "ledger",
    "evaluation",
)
"""The stages of a round, in order."""


class Stopwatch:
    """A stopwatch that counts seconds of wall time by stage.

    While an inner stage runs, the outer stage is not counted.

    >>> watch = Stopwatch()
    >>> with watch("work"):
    ...     pass
    >>> sorted(watch.lap()) == sorted(STAGES)
    True
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._running: list[str] = []
        self._since = time.perf_counter()

    # No generator: a chain without learning begins very many stages.
    def __call__(self, stage: str) -> Stopwatch:
        """Begin a stage, which the end of the ``with`` block ends."""
        self._settle()
        self._running.append(stage)
        return self

    def __enter__(self) -> None:
        """Do nothing: the stage has begun already."""

    def __exit__(self, *_: object) -> None:
        self._settle()
        self._running.pop()

    def share(self, stage: str, spent: float, seconds: Mapping[str, float]) -> None:
        """Move time that was counted for one stage to the inner stages that ran within it.

        Args:
            stage: the stage for which the time was counted.
            spent: seconds of wall time to move.
            seconds: seconds of each inner stage, summed over parallel threads; ``spent`` is divided
                in proportion to these.
        """
        scale = spent / sum(seconds.values())
        self._seconds[stage] -= spent
        for other, took in seconds.items():
            self._seconds[other] += took * scale

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last call, and restart from 0."""
        self._settle()
        seconds, self._seconds = self._seconds, dict.fromkeys(STAGES, 0.0)
        return seconds

    def _settle(self) -> None:
        now = time.perf_counter()
        if self._running:
            self._seconds[self._running[-1]] += now - self._since
        self._since = now


def duration_words(seconds: float) -> str:
    """Return a duration as text, rounded to seconds, or to minutes from one hour on.

    >>> duration_words(0.4), duration_words(110), duration_words(7300)
    ('1 s', '1 min 50 s', '2 h 1 min')
    """
    minutes, rest = divmod(max(1, round(seconds)), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
