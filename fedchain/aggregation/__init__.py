"""Aggregation rules: they combine the gradients of a round, with the same bits on every node.

Each message k brings the direction of its gradient: a unit vector g_k*, sent as integers. The rules
compute with 2^20 g_k*. Sums and inner products of these vectors stay below 2^53. Up to this bound
float64 adds and multiplies integers exactly, in any order and with any library. All other
operations are element-wise, in a fixed order.
"""

from __future__ import annotations

from fedchain.aggregation.coordinates import median, trimmed_mean
from fedchain.aggregation.directions import Agreement, agreement_of, inner_with
from fedchain.aggregation.krum import krum
from fedchain.aggregation.nearest import l_nearest, mean
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations, scaled
from fedchain.aggregation.weights import Weights, mean_of_used, weighted_mean

__all__ = [
    "Aggregate",
    "Agreement",
    "Received",
    "Scale",
    "Weights",
    "aggregations",
    "agreement_of",
    "inner_with",
    "krum",
    "l_nearest",
    "mean",
    "mean_of_used",
    "median",
    "scaled",
    "trimmed_mean",
    "weighted_mean",
]
