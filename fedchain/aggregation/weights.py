"""Weights: how much each holder counts in a mean, and the mean of chosen messages itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator

from fedchain.aggregation.directions import Directions, spread
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations, scaled
from fedchain.arrays import ONE, Flags, Vector
from fedchain.registry import Part, parameters, show_value

STRIP = 32_768
"""Number of columns that are averaged at a time; they fit into the processor's cache."""
NO_RECORDS = "has no registered records"
"""Why nothing was taken of a message that a rule with weights has chosen."""
EQUAL, BY_RECORDS, CAPPED = "equal", "records", {"kind": "records", "cap": "median"}


def _checked(value: object) -> object:
    """Return weights in their only spelling: ``{kind: records}`` becomes ``records``."""
    if value is None or value in (EQUAL, BY_RECORDS, CAPPED):
        return value
    if value in ({"kind": BY_RECORDS}, {"kind": BY_RECORDS, "cap": None}):
        return BY_RECORDS
    words = "must be equal, records or {kind: records, cap: median}"
    raise ValueError(f"{words}, got {show_value(value)}")


Weights = Annotated[Literal["equal", "records"] | dict[str, str] | None, BeforeValidator(_checked)]
"""How much each message counts in a mean. ``equal``: all alike. ``records``: by its sender's
registered number n_k of records. ``{kind: records, cap: median}``: by the smaller of n_k and the
median of all received n_k. None: not settled; a run settles it before genesis (``settled``)."""


def takes_weights(kind: str) -> bool:
    """Return whether a rule has the parameter ``weights``; other rules count messages alike.

    >>> takes_weights("mean"), takes_weights("krum")
    (True, False)
    """
    weights = parameters(aggregations.find(kind)).get("weights")
    return weights is not None and weights.annotation == Weights


def settled(part: Part, records: Sequence[int], *, per_record: bool = True) -> Part:
    """Return a rule whose weights are written out, as genesis states them.

    If the scenario leaves them open, they are ``records`` where the registered numbers differ, and
    ``equal`` where they are all alike. They are ``equal`` too where the unit of privacy is the
    holder: then the noise of a large holder is not smaller than that of others.

    Args:
        part: the rule.
        records: the registered number of records of every participant; empty if identities are
            open, since nobody vouches for a number then.
        per_record: whether the unit of privacy is a record.

    >>> settled(Part("mean", {"weights": None}), [3, 5]).parameters["weights"]
    'records'
    """
    if not takes_weights(part.kind) or part.parameters["weights"] is not None:
        return part
    differ = per_record and len(set(records)) > 1
    weights = BY_RECORDS if differ else EQUAL
    return Part(part.kind, {**part.parameters, "weights": weights})


def weights_in_words(weights: Weights) -> str:
    """Return settled weights in words, for ``explain`` and the summary of a run.

    >>> weights_in_words("equal")
    'equal: every message counts alike'
    """
    if weights == EQUAL:
        return "equal: every message counts alike"
    most = ", at most the median" if weights == CAPPED else ""
    return f"records: a message counts by the registered number of records behind it{most}"


def counted(records: Vector, weights: Weights) -> Vector:
    """Return how much each message counts, shape (n,), whole numbers or halves.

    Args:
        records: the registered number n_k of each message, shape (n,).
        weights: as ``Weights``; None counts all alike.

    >>> counted(np.array([1.0, 4.0, 20.0]), CAPPED).tolist()
    [1.0, 4.0, 4.0]
    """
    if weights is None or weights == EQUAL:
        return np.ones_like(records)
    return np.minimum(records, np.median(records)) if weights == CAPPED else records


def weighted_mean(directions: Directions, factors: Vector, used: Flags) -> Vector:
    """Return the mean of the used directions g_k*, each multiplied by its factor.

    Args:
        directions: the n directions g_k*.
        factors: the factor of each direction, shape (n,).
        used: which directions to average, at least one, shape (n,).

    Returns:
        The mean, shape (d,). Every library gives the same bits, because the multiplications and
        additions of each element have a fixed order, and each of them rounds separately.

    >>> rows = Directions.of(2**20 * np.eye(2))
    >>> weighted_mean(rows, np.array([2.0, 4.0]), np.array([True, True])).tolist()
    [1.0, 2.0]
    """
    total = np.zeros(directions.dimension)
    # Multiplying by a power of two only changes the exponent, so doing it first rounds nothing.
    shifted = directions.shifts * factors
    rows = [(directions.integers[k], shifted[k]) for k in np.flatnonzero(used)]
    parts = float(len(rows)) * ONE

    def work(columns: slice) -> None:
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
) -> Aggregate:
    """Return the mean of the l messages that a rule has chosen.

    A chosen message that counts c_k has the share c_k / N, where N is the sum of the c_j of the
    chosen ones. The gradient is (1/l) sum_k (s_k r_k) g_k* with r_k = (l c_k) / N. Products l c_k
    and sums N of whole numbers or halves below 2^53 are exact, so r_k is exactly 1 where all count
    alike: the bits are then those of the mean without weights. If N is 0, all count alike.

    Args:
        received: the messages.
        used: which messages are chosen, at least one, shape (n,).
        cosines: cosine of each direction with the sum of all directions, shape (n,).
        scale: the factor of each direction.
        weights: how much each message counts.
        reason: why the other messages were not chosen.

    >>> rows, norms = Directions.of(2**20 * np.eye(2)), np.array([2.0, 4.0])
    >>> both = Received(rows, norms, np.array([1.0, 3.0]))
    >>> mean_of_used(both, norms > 0, norms, scale="restore", weights="records").gradient.tolist()
    [0.5, 3.0]
    """
    counts, count = np.where(used, counted(received.records, weights), 0.0), float(used.sum())
    if not counts.any():  # only a public root, which has no registered records
        counts = np.where(used, 1.0, 0.0)
    whole = counts.sum()
    factors = scaled(received.norms, scale) * (count * counts / whole)
    gradient = weighted_mean(received.directions, factors, used)
    shares, unused = counts / whole, np.where(used, NO_RECORDS, reason).tolist()
    reasons = tuple("" if share > 0 else why for share, why in zip(shares, unused, strict=True))
    return Aggregate(gradient, cosines, shares, reasons)
