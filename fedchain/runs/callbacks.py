"""Callbacks: follow the progress of a run, and may end it early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedchain.arrays import Vector
    from fedchain.results import MessageRecord, RoundRecord, Run
    from fedchain.simulation.setup import RunSetup


@dataclass(frozen=True)
class RoundEnd:
    """What a callback is told when a round has ended."""

    record: RoundRecord
    """The record of the round: block, simulated time, metrics, epsilon so far, and counts."""
    messages: Sequence[MessageRecord]
    """The records of the round's messages."""
    weights: Callable[[], Vector]
    """Returns the weights of the model after the round, float64, read-only, shape (weights,). They
    are in the order of the model's ``named_parameters()``. ``Run.module`` makes a model of them."""


class Callback:
    """Base class of the callbacks of a run: override the methods that you need.

    A callback must not change the run. An error that it raises ends the run, which can be resumed.
    The methods are called in the process and in the thread that called ``fedchain.run``.

    >>> class Patience(Callback):
    ...     def on_round_end(self, ended):
    ...         reached = ended.record.metrics.get("accuracy") or 0.0
    ...         return "accuracy above 0.9" if reached > 0.9 else None
    """

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Called before the first round, with the run's folder and its parts."""

    def on_round_end(self, ended: RoundEnd) -> str | None:  # noqa: ARG002
        """Called after each round; in a resumed run, also for the rounds that it repeats.

        A fork may replace a round, which is then told again.

        Returns:
            A reason to end the run after this round, or None to go on. The run then has the status
            ``stopped``; its results are written, and ``resume`` continues it.
        """
        return None

    def on_run_end(self, run: Run) -> None:
        """Called once after the last round, when all results are written.

        It is also called if the run was interrupted or failed; ``run.manifest["status"]`` tells.
        """


def end_round(callbacks: Sequence[Callback], ended: RoundEnd) -> str:
    """Call every callback at the end of a round, and return their reasons to stop, or nothing."""
    reasons = [callback.on_round_end(ended) for callback in callbacks]
    return "; ".join(dict.fromkeys(str(reason) for reason in reasons if reason))
