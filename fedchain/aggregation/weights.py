"""Weights: how much each message counts in a mean, and the mean of chosen messages."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator

from fedchain.aggregation.directions import Directions, spread
from fedchain.aggregation.rule import NO_SCORES, Aggregate, Received, Scale, aggregations, scaled
from fedchain.arrays import ONE, Flags, Vector
from fedchain.native.loading import library
from fedchain.registry import parameters, show_value

STRIP = 32_768
"""Number of columns that are averaged at a time; they fit into the processor's cache."""
NO_RECORDS = "has no registered records"
"""The reason why a chosen message has the share 0."""
EQUAL, BY_RECORDS, CAPPED = "equal", "records", {"kind": "records", "cap": "median"}


def _checked(value: object) -> object:
    """Return weights in their shortest spelling: ``{kind: records}`` becomes ``records``."""
    if value is None or value in (EQUAL, BY_RECORDS, CAPPED):
        return value
    if value in ({"kind": BY_RECORDS}, {"kind": BY_RECORDS, "cap": None}):
        return BY_RECORDS
    words = "must be equal, records or {kind: records, cap: median}"
    raise ValueError(f"{words}, got {show_value(value)}")


Weights = Annotated[Literal["equal", "records"] | dict[str, str] | None, BeforeValidator(_checked)]
"""How much each message counts in a mean. ``equal``: all count the same. ``records``: in proportion
to the registered number of records behind the message. ``{kind: records, cap: median}``: the same,
with numbers above the median lowered to the median. None if not yet decided (``settled_rule``)."""


def takes_weights(kind: str) -> bool:
    """Return whether a rule has the parameter ``weights``.

    >>> takes_weights("mean"), takes_weights("krum")
    (True, False)
    """
    weights = parameters(aggregations.find(kind)).get("weights")
    return weights is not None and weights.annotation == Weights


def weights_in_words(weights: Weights) -> str:
    """Return a sentence about settled weights, for ``explain`` and the summary of a run.

    >>> weights_in_words("equal")
    'equal: every message counts alike'
    """
    if weights == EQUAL:
        return "equal: every message counts alike"
    most = ", at most the median" if weights == CAPPED else ""
    return f"records: a message counts by the registered number of records behind it{most}"


def counted(records: Vector, weights: Weights) -> Vector:
    """Return how much each message counts, as whole numbers or halves.

    ``records`` has the registered number of records of each message.

    >>> counted(np.array([1.0, 4.0, 20.0]), CAPPED).tolist()
    [1.0, 4.0, 4.0]
    """
    if weights is None or weights == EQUAL:
        return np.ones_like(records)
    return np.minimum(records, np.median(records)) if weights == CAPPED else records


def weighted_mean(directions: Directions, factors: Vector, used: Flags) -> Vector:
    """Return the mean of the used directions, each multiplied by its factor.

    At least one direction must be used. The mean has the same bits on every node.

    >>> rows = Directions.of(2**20 * np.eye(2))
    >>> weighted_mean(rows, np.array([2.0, 4.0]), np.array([True, True])).tolist()
    [1.0, 2.0]
    """
    # Every element is multiplied and added in a fixed order, so all libraries give the same bits.
    total = np.zeros(directions.dimension)
    # Multiplying by a power of two only changes the exponent, so doing it first rounds nothing.
    shifted = directions.shifts * factors
    rows = [(directions.integers[k], shifted[k]) for k in np.flatnonzero(used)]
    parts = float(len(rows)) * ONE

    kernels, addresses = library(), directions.addresses

    def work(columns: slice) -> None:
        if kernels is not None and addresses is not None:
            size, ends = directions.integers[0].itemsize, (columns.start, columns.stop)
            chosen = addresses[used], shifted[used], len(rows), size
            kernels.weighted_sum(*chosen, *ends, parts, total)
            return
        room = np.empty(STRIP)
        for start in range(columns.start, columns.stop, STRIP):
            part = slice(start, min(start + STRIP, columns.stop))
            strip, term = total[part], room[: part.stop - start]
            for row, factor in rows:
                term[:] = row[part]
                term *= factor
                strip += term
            strip /= parts

    spread(directions, work)
    return total


def mean_of_used(
    received: Received,
    used: Flags,
    cosines: Vector,
    *,
    scale: Scale,
    weights: Weights = "equal",
    reason: str = "",
    scores: Vector = NO_SCORES,
    score: str = "",
) -> Aggregate:
    """Return the weighted mean of the messages that a rule has chosen.

    Each chosen message has a count (see ``counted``). The share of a message is its count divided
    by the sum of these counts; if all counts are 0, the shares are equal. ``cosines`` has the
    cosine of each direction with the sum of all directions. ``reason`` says why the other messages
    were not chosen. ``scores`` has what the rule judged each message by, and ``score`` its name.

    >>> rows, norms = Directions.of(2**20 * np.eye(2)), np.array([2.0, 4.0])
    >>> both = Received(rows, norms, np.array([1.0, 3.0]))
    >>> mean_of_used(both, norms > 0, norms, scale="restore", weights="records").gradient.tolist()
    [0.5, 3.0]
    """
    counts, count = np.where(used, counted(received.records, weights), 0.0), float(used.sum())
    if not counts.any():  # only a public root, which has no registered records
        counts = np.where(used, 1.0, 0.0)
    whole = counts.sum()
    # The ratio is exactly 1 if all messages count the same: the bits of a mean without weights.
    factors = scaled(received.norms, scale) * (count * counts / whole)
    gradient = weighted_mean(received.directions, factors, used)
    shares, unused = counts / whole, np.where(used, NO_RECORDS, reason).tolist()
    reasons = tuple("" if share > 0 else why for share, why in zip(shares, unused, strict=True))
    return Aggregate(gradient, cosines, shares, reasons, scores=scores, score=score)
