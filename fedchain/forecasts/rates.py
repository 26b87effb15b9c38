"""Rates: measures, keeps and reads a machine's seconds per operation.

A forecast uses them for the parts of a round that its trial does not measure.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from fedchain.cache import RATES, add, cache_folder
from fedchain.errors import RunError
from fedchain.runs.callbacks import Callback

RATES_FILE = f"{RATES}-2.json"
"""Name of the file in the cache folder, with the version of its layout."""
LARGEST_RATES = 65_536
"""Limit on the bytes of the file of rates."""
SMALL_RUNS = (8, 1, 1), (64, 1, 1), (64, 9, 1), (8, 1, 1000), (32, 1, 1000)
"""Numbers of holders, compute nodes and hidden units of each small run."""
ROUNDS = 12
"""Number of rounds of each small run."""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Rates(BaseModel, frozen=True):
    """Seconds that a machine needs per operation of each kind.

    In ``Trial.counts``, the fields are numbers of operations.

    >>> ROUGH.rows()[-1]
    ('everything else of a round', '200 /s', '5 ms')
    """

    message: Amount = Field(title="bytes of messages: checked, aggregated, stored")
    state: Amount = Field(title="bytes of a state: updated, hashed, stored")
    event: Amount = Field(title="deliveries")
    holder: Amount = Field(title="everything else of a holder")
    round: Amount = Field(title="everything else of a round")

    def rows(self) -> list[tuple[str, str, str]]:
        """Return rows of text: the operation, operations per second, and seconds per operation."""
        from matplotlib.ticker import EngFormatter

        rate, duration = EngFormatter("/s"), EngFormatter("s")
        return [
            (
                str(type(self).model_fields[name].title),
                rate(float(f"{1 / taken:.3g}")) if taken else "not seen",
                duration(float(f"{taken:.3g}")),
            )
            for name, taken in self
        ]


ROUGH = Rates(message=2e-9, state=2e-9, event=5.3e-6, holder=2.8e-4, round=5e-3)
"""Rates for machines that were not measured: those of two cores of a server."""


def read_rates() -> Rates | None:
    """Return the rates measured on this machine; None if no valid file has them."""
    path = cache_folder() / RATES_FILE
    try:
        if path.stat().st_size > LARGEST_RATES:
            return None
        return Rates.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def keep_rates(rates: Rates) -> Path:
    """Write rates into the user's cache folder, and return the path of the file.

    Raises:
        RunError: the folder cannot be written.
    """
    path = cache_folder() / RATES_FILE
    try:
        add(path, lambda file: file.write(rates.model_dump_json(indent=2).encode() + b"\n"))
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error
    return path


class RoundTimes(Callback):
    """A callback that measures how long the rounds of a run take."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def on_round_end(self, *_: object) -> None:
        """Store the time at which a round ends."""
        self._ends.append(time.perf_counter())

    @property
    def median(self) -> float:
        """Median duration of a round in seconds, without the first two rounds."""
        ends = itertools.pairwise(self._ends[1:])
        return statistics.median(end - begin for begin, end in ends)


def measured() -> Rates:
    """Measure the rates of this machine with small runs, within a few seconds.

    The runs are written to a temporary folder inside the current folder.

    Raises:
        OSError: the current folder cannot be written.
    """
    import numpy as np
    from scipy.optimize import nnls

    from fedchain.forecasts.trial import tried
    from fedchain.runs.running import run
    from fedchain.scenario import from_mapping

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
            run(scenario, folder, callbacks=[times])
            counts.append([count for _, count in trial.counts])
            unexplained.append(max(times.median - sum(trial.spent_s.values()), 1e-5))
    # Counts are divided by the largest of their kind, so that the fit treats all rates alike.
    largest, weights = np.max(counts, axis=0), 1 / np.array(unexplained)
    found, _ = nnls(np.array(counts) / largest * weights[:, None], np.ones(len(counts)))
    return Rates(**dict(zip(Rates.model_fields, (found / largest).tolist(), strict=True)))
