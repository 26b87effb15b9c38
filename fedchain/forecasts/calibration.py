"""Calibration: measures, with small runs, how long this machine takes per operation."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from fedchain.forecasts.rates import Rates
from fedchain.forecasts.trial import tried
from fedchain.runs.running import run
from fedchain.scenario import from_mapping

SMALL_RUNS = (8, 1, 1), (64, 1, 1), (64, 9, 1), (8, 1, 1000), (32, 1, 1000)
"""(holders, compute nodes, hidden units) of each small run."""
ROUNDS = 12
"""Number of rounds of each small run."""


class RoundTimes:
    """A callback that measures how long the rounds of a run take."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def on_run_begin(self, *_: object) -> None:
        """Do nothing: the first round has not begun."""

    def on_round_end(self, *_: object) -> None:
        """Note the time at which a round ends."""
        self._ends.append(time.perf_counter())

    @property
    def median(self) -> float:
        """Median duration of a round, in seconds; the first two rounds do not count."""
        return float(np.median(np.diff(self._ends)[1:]))


def measured() -> Rates:
    """Return the seconds per operation of this machine, from small runs of a few seconds in all.

    The runs are written to a temporary folder inside the current folder. A trial times some stages
    of a round; the rates are fitted to the rest of the round's measured time, such that the
    relative errors are small.

    Raises:
        OSError: the current folder cannot be written.
    """
    from scipy.optimize import nnls

    counts, unexplained = [], []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".fedchain-") as folder:
        for holders, compute, hidden in SMALL_RUNS:
            scenario = from_mapping({
                "version": 1,
                "name": f"small-{holders}-{compute}-{hidden}",
                "rounds": ROUNDS,
                "task": {"kind": "digits", "model": {"kind": "mlp", "hidden": [hidden]}},
                "nodes": {"holders": holders, "compute": compute},
                "privacy": {"kind": "none"},
                "aggregation": {"kind": "l_nearest", "keep": holders // 2},
                "update": {"kind": "adam", "learning_rate": 0.01},
                "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 4}},
                "evaluate": {"every": ROUNDS},
            })  # fmt: skip
            times, trial = RoundTimes(), tried(scenario)
            run(scenario, folder, callback=times)
            counts.append([count for _, count in trial.counts])
            unexplained.append(max(times.median - sum(trial.spent_s.values()), 1e-5))
    # Counts are divided by the largest of their kind, so that the fit treats all rates alike.
    largest, weights = np.max(counts, axis=0), 1 / np.array(unexplained)
    found, _ = nnls(np.array(counts) / largest * weights[:, None], np.ones(len(counts)))
    return Rates(**dict(zip(Rates.model_fields, (found / largest).tolist(), strict=True)))
