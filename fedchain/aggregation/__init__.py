"""Aggregation rules: functions that combine the gradients of a round into one global gradient.

Every node must compute the same bits. Rules therefore use whole numbers below 2^53 for sums and
inner products, which float64 adds and multiplies exactly. They do all other operations element by
element, in a fixed order.
"""

from __future__ import annotations

from fedchain.aggregation.around_median import bulyan, mean_around_median
from fedchain.aggregation.average import average_of
from fedchain.aggregation.coordinates import median, trimmed_mean
from fedchain.aggregation.geometric import centred_clipping, geometric_median
from fedchain.aggregation.inner_products import Agreement, agreement_of, inner_with
from fedchain.aggregation.krum import krum
from fedchain.aggregation.mixing import bucketing, nnm, norm_clipping
from fedchain.aggregation.nearest import l_nearest, mean
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations, scaled
from fedchain.aggregation.spectral import caf, dnc
from fedchain.aggregation.subsets import mda, smea
from fedchain.aggregation.trust import fltrust
from fedchain.aggregation.vectors import (
    Byzantine,
    First,
    Vectors,
    combined,
    mixed_vectors,
    pre_aggregations,
)
from fedchain.aggregation.weights import Weights, mean_of_used, weighted_mean

__all__ = [
    "Aggregate",
    "Agreement",
    "Byzantine",
    "First",
    "Received",
    "Scale",
    "Vectors",
    "Weights",
    "aggregations",
    "agreement_of",
    "average_of",
    "bucketing",
    "bulyan",
    "caf",
    "centred_clipping",
    "combined",
    "dnc",
    "fltrust",
    "geometric_median",
    "inner_with",
    "krum",
    "l_nearest",
    "mda",
    "mean",
    "mean_around_median",
    "mean_of_used",
    "median",
    "mixed_vectors",
    "nnm",
    "norm_clipping",
    "pre_aggregations",
    "scaled",
    "smea",
    "trimmed_mean",
    "weighted_mean",
]
