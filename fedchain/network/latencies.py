"""Latencies: distributions from which the latency of each link is drawn once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.registry import Family, Part

Links = npt.NDArray[np.int64]
"""The two ends of each link, shape (links, 2)."""
Latency = Callable[[Links, np.random.Generator], Vector]
"""A function that takes links and a random generator, and returns the latency of each link in
milliseconds, shape (links,)."""
Milliseconds = Annotated[float, Field(gt=0)]
MOST_REGIONS = 64

latencies: Family[Latency] = Family("latency", ("fedchain.network.latencies",))
"""Latency distributions. Each part is a function ``(*, ...) -> Latency``."""

HUNDRED_MS = Part("constant", {"value": 100.0})


@latencies
def constant(*, value: Milliseconds) -> Latency:
    """Give every link the same latency.

    Args:
        value: latency, milliseconds, above 0.

    Returns:
        A function that returns the latency of each link, milliseconds.

    >>> constant(value=80.0)(np.array([[0, 1]]), np.random.default_rng(0)).tolist()
    [80.0]
    """
    return lambda links, _: np.full(len(links), value)


@latencies
def uniform(*, low: Milliseconds, high: Milliseconds) -> Latency:
    """Draw each link's latency uniformly between two bounds.

    Args:
        low: least latency, milliseconds, above 0.
        high: largest latency, milliseconds, at least ``low``.

    Returns:
        A function that returns the latency of each link, milliseconds.

    Raises:
        ValueError: ``high`` is below ``low``.

    >>> drawn = uniform(low=10.0, high=20.0)(np.array([[0, 1]]), np.random.default_rng(0))
    >>> bool(10.0 <= drawn[0] < 20.0)
    True
    """
    if high < low:
        raise ValueError(f"network.latency_ms.high: must be at least low ({low}), got {high}")
    return lambda links, generator: generator.uniform(low, high, len(links))


@latencies
def lognormal(
    *, median: Annotated[float, Field(gt=0)], sigma: Annotated[float, Field(ge=0)]
) -> Latency:
    """Draw each link's latency from a lognormal distribution: most links are fast, a few are slow.

    Args:
        median: median latency, milliseconds, above 0.
        sigma: standard deviation of the latency's logarithm, 0 or more.

    Returns:
        A function that returns the latency of each link, milliseconds.

    >>> law = lognormal(median=80.0, sigma=0.0)
    >>> law(np.array([[0, 1]]), np.random.default_rng(0)).round(6).tolist()
    [80.0]
    """
    return lambda links, generator: median * _spread(generator, sigma, len(links))


@latencies
def regions(
    *,
    matrix: Annotated[
        tuple[tuple[Milliseconds, ...], ...], Field(min_length=1, max_length=MOST_REGIONS)
    ],
    sigma: Annotated[float, Field(ge=0)] = 0.0,
) -> Latency:
    """Give each link the latency between the regions of its two ends.

    Nodes are assigned to the regions in turn: node 0 to the first, node 1 to the second, and so on.

    Args:
        matrix: median latency between two regions, milliseconds, above 0, as a symmetric matrix
            with one row for each region. The diagonal has the median latency within each region.
        sigma: standard deviation of the latency's logarithm, 0 or more.

    Returns:
        A function that returns the latency of each link, milliseconds.

    Raises:
        ValueError: the matrix is not square, or not symmetric.

    >>> law = regions(matrix=((10.0, 90.0), (90.0, 20.0)))
    >>> law(np.array([[0, 1], [0, 2], [1, 3]]), np.random.default_rng(0)).tolist()
    [90.0, 10.0, 20.0]
    """
    where, count = "network.latency_ms.matrix", len(matrix)
    for number, row in enumerate(matrix):
        if len(row) != count:
            raise ValueError(
                f"{where}: row {number} has {len(row)} entries; must have {count}, one a region"
            )
    between = np.array(matrix)
    uneven = np.argwhere(between != between.T)
    if len(uneven):
        a, b = uneven[0]
        raise ValueError(
            f"{where}: is {between[a, b]} from region {a} to {b} and {between[b, a]} back; "
            "must be the same both ways"
        )

    def law(links: Links, generator: np.random.Generator) -> Vector:
        medians = between[links[:, 0] % count, links[:, 1] % count]
        return np.asarray(medians * _spread(generator, sigma, len(links)))

    return law


def _spread(generator: np.random.Generator, sigma: float, count: int) -> Vector:
    """Draw lognormal factors with median 1, rounded to 9 decimals."""
    # The C library's exponential differs between processors in the last bits. Rounding removes the
    # difference, which could otherwise change the order of events, and so the blocks.
    return np.round(generator.lognormal(0.0, sigma, count), 9)
