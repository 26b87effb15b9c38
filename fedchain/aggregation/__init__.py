"""Aggregation rules: functions that combine the gradients of a round into one global gradient.

Every node must compute the same bits. Rules therefore use whole numbers below 2^53 for sums and
inner products, which float64 adds and multiplies exactly. They do all other operations element by
element, in a fixed order.
"""

from __future__ import annotations

from fedchain.aggregation.coordinates import median, trimmed_mean
from fedchain.aggregation.inner_products import Agreement, agreement_of, inner_with
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
