"""Divergence: finds holders whose records give losses that are no finite numbers.

A clipped gradient that is not finite counts as zero, so that one record can never end a run of
others. Without a word about it, a mistake in a loss or in data would look like slow learning.
"""

from __future__ import annotations

import logging

import numpy as np

from fedchain.arrays import Vector
from fedchain.learning.task import OWN_DATA
from fedchain.results import NAMED
from fedchain.scenario.own import own_parts
from fedchain.simulation.setup import RunSetup

_log = logging.getLogger("fedchain")


class LossWatch:
    """Looks at the losses of all holders' records in rounds 1, 2, 4, 8 .. and in the last one.

    It looks only if the scenario has parts or data of the user's own.
    """

    def __init__(self, setup: RunSetup) -> None:
        """Begin with nothing found."""
        self._setup, scenario = setup, setup.scenario
        reads = any(part.kind in OWN_DATA for part in scenario.task.nested())
        self._looks = setup.task.learns and (reads or bool(own_parts(scenario)))
        self.faults: dict[int, str] = {}
        """What was found, in words, by holder; -1 for the model itself."""

    def due(self, round_: int) -> bool:
        """Return whether a round is one of those in which the losses are looked at."""
        often = round_ & (round_ - 1) == 0 or round_ == self._setup.rules.rounds
        return self._looks and often and -1 not in self.faults

    def look(self, round_: int, weights: Vector) -> None:
        """Look at the losses of all holders' records at the weights after a round."""
        from fedchain.learning.evaluation import load_weights  # imports torch
        from fedchain.learning.examination import first_fault

        if not np.isfinite(weights).all():
            self.faults[-1] = f"round {round_}: the weights of the model are not finite"
            return
        task, module = self._setup.task, self._setup.task.model().eval()
        load_weights(module, weights)
        for holder in range(self._setup.scenario.nodes.holders):
            if holder in self.faults or len(self.faults) >= NAMED:
                continue
            if fault := first_fault(module, task.loss, task.holders[holder]):
                self.faults[holder] = f"round {round_}: holder h{holder}: {fault}"
                _log.warning(self.faults[holder])
