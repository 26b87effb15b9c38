"""Measured times of calls, and rates fitted to them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fedchain.machine import one_thread

TIMES = 9
"""Number of timings of a call; their median counts."""
TRUST = 0.3
"""Weight of the expected rates, where a measurement has 1."""


def median_time(work: Callable[[], object], times: int = TIMES) -> float:
    """Return the median seconds of a call, without a first one, which warms up."""
    work()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def many(work: Callable[[], object], calls: int = 200) -> float:
    """Return the median seconds of a call that is too short to be timed alone."""

    def again() -> None:
        for _ in range(calls):
            work()

    return median_time(again) / calls


def side_by_side(works: Sequence[Callable[[], object]]) -> float:
    """Return the median seconds of calls that run at once, one a thread, as in the engine."""
    with ThreadPoolExecutor(len(works), initializer=one_thread) as pool:
        return median_time(lambda: list(pool.map(lambda work: work(), works)))


def fitted(
    amounts: Sequence[Sequence[float]], spent: Sequence[float], expected: Sequence[float]
) -> list[float]:
    """Return rates of at least 0 that fit the measurements best, by relative errors.

    The fit minimises the squares of the relative errors of the measurements, and of ``TRUST``
    times the relative differences from the expected rates, which are first scaled to this machine.
    So rates that the measurements do not determine keep the proportion of the expected ones.

    Args:
        amounts: what was done in each measurement, (n, r).
        spent: its seconds, (n,).
        expected: rates of another machine, (r,); where one is 0, the fitted rate is 0.

    Returns:
        Seconds of one of each amount, r of them.

    >>> spent = [2.0, 12.0, 9.0]
    >>> [round(rate, 2) for rate in fitted([[1, 0], [1, 10], [2, 5]], spent, [1.0, 0.5])]
    [2.0, 1.0]
    """
    from scipy.optimize import nnls

    per_expected = np.asarray(amounts) * np.asarray(expected) / np.asarray(spent)[:, None]
    sums = per_expected.sum(axis=1)
    scale = float(sums.sum() / (sums @ sums))
    rows = np.vstack([scale * per_expected, TRUST * np.eye(len(expected))])
    wanted = np.concatenate([np.ones(len(spent)), np.full(len(expected), TRUST)])
    found, _ = nnls(rows, wanted)
    return [float(rate) for rate in scale * found * np.asarray(expected)]
