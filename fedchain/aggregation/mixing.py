"""Pre-aggregations: mixings of the messages that a rule works on afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.vectors import Byzantine, Vectors, check_number, pre_aggregations
from fedchain.arrays import Matrix, Wholes
from fedchain.ordered import product
from fedchain.registry import cites


@pre_aggregations
@cites("allouah2023mixing")
def nnm(vectors: Vectors, *, byzantine: Byzantine = None) -> Vectors:
    """Replace every vector by the mean of its nearest neighbours (nearest-neighbour mixing).

    Of m vectors, f may be Byzantine. The neighbours are the m - f vectors at the smallest distance,
    the vector itself among them. Of equal distances, the smaller message id goes first.

    Args:
        vectors: the vectors of the block.
        byzantine: the number f of vectors that may be Byzantine; more than 2f are needed. null: the
            number of attackers in the scenario's attacks.

    Raises:
        ValueError: there are too few vectors for f, or more than 2048 messages.

    Reference:
        Allouah et al., Fixing by Mixing, AISTATS 2023, algorithm 2.
    """
    few = byzantine or 0
    check_number("nnm", vectors, "byzantine", few, 2 * few + 1)
    kept = len(vectors) - few
    nearest = np.argsort(vectors.distances, axis=1, kind="stable")[:, :kept]
    mixing = np.zeros((len(vectors), len(vectors)))
    np.put_along_axis(mixing, nearest, 1.0 / kept, axis=1)
    return mixed(vectors, mixing, np.arange(len(vectors)))


@pre_aggregations
@cites("karimireddy2022")
def bucketing(vectors: Vectors, *, size: Annotated[int, Field(ge=1)] = 2) -> Vectors:
    """Replace every few vectors by their mean.

    The buckets follow the order of message ids, which are hashes: as good as a random order, unless
    an attacker tries many messages to choose its place.

    Args:
        vectors: the vectors of the block.
        size: number of vectors in a bucket; the last one may have fewer.

    Reference:
        Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, ICLR
        2022, algorithm 1.
    """
    count = len(vectors)
    buckets = np.arange(count) // size
    mixing = np.zeros((int(buckets[-1]) + 1, count))
    mixing[buckets, np.arange(count)] = 1.0 / np.bincount(buckets)[buckets]
    return mixed(vectors, mixing, buckets)


@pre_aggregations
@cites("sun2019")
def norm_clipping(
    vectors: Vectors, *, radius: Annotated[float, Field(gt=0)] | None = None
) -> Vectors:
    """Shorten every vector that is longer than a radius to this radius.

    Args:
        vectors: the vectors of the block.
        radius: largest norm of a vector, in the unit of gradients. null: the median of all norms.

    Reference:
        Sun et al., Can You Really Backdoor Federated Learning?, 2019, section 4.
    """
    lengths = vectors.lengths
    most = np.median(lengths) if radius is None else radius / vectors.unit
    kept = np.divide(most, lengths, out=np.ones_like(lengths), where=lengths > most)
    if vectors.mix is None:
        return replace(vectors, factors=vectors.factors * kept)
    return replace(vectors, mix=vectors.mix * kept[:, None])


def mixed(vectors: Vectors, mixing: Matrix, places: Wholes) -> Vectors:
    """Return sums of the vectors.

    Args:
        vectors: m vectors.
        mixing: how much of each vector is in each sum, shape (sums, m); each row adds up to 1.
        places: the sum that stands for each vector, shape (m,).
    """
    if vectors.mix is None or vectors.taken is None or vectors.owners is None:
        return replace(vectors, mix=mixing, taken=mixing, owners=places)
    mix, taken = product(mixing, vectors.mix), product(mixing, vectors.taken)
    return replace(vectors, mix=mix, taken=taken, owners=places[vectors.owners])
