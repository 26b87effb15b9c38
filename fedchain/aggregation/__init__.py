"""Aggregation rules, in arithmetic that gives every node the same bits.

Directions arrive as integers: row k is 2^20 times the unit vector g_k* of message k. Sums and inner
products of such rows stay below 2^53, where float64 adds and multiplies integers exactly, in any
order and with any library. All other operations are element-wise, in a fixed order.
"""

from __future__ import annotations

from fedchain.aggregation.coordinates import median, trimmed_mean
from fedchain.aggregation.directions import Agreement, agreement_of
from fedchain.aggregation.krum import krum
from fedchain.aggregation.nearest import l_nearest, mean
from fedchain.aggregation.rule import Aggregate, Scale, aggregations, scaled, weighted_mean

__all__ = [
    "Aggregate",
    "Agreement",
    "Scale",
    "aggregations",
    "agreement_of",
    "krum",
    "l_nearest",
    "mean",
    "median",
    "scaled",
    "trimmed_mean",
    "weighted_mean",
]
