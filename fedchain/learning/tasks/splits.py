"""Splits: functions that divide the records of a task among the holders."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Wholes
from fedchain.learning.task import splits
from fedchain.registry import cites


@splits
@cites()
def iid(
    labels: Wholes,
    sites: Wholes,  # noqa: ARG001 - this split needs neither labels nor sites
    holders: int,
    generator: np.random.Generator,
) -> list[Wholes]:
    """Deal the records at random, in equal shares: every holder sees the same distribution.

    >>> labels = np.zeros(6, dtype=np.int64)
    >>> [len(part) for part in iid(labels, labels, 3, np.random.default_rng(0))]
    [2, 2, 2]
    """
    _check_enough(len(labels), holders, 1)
    return [np.sort(part) for part in np.array_split(generator.permutation(len(labels)), holders)]


@splits
@cites("yurochkin2019")
def dirichlet(
    labels: Wholes,
    sites: Wholes,  # noqa: ARG001 - this split needs only the labels
    holders: int,
    generator: np.random.Generator,
    *,
    alpha: Annotated[float, Field(gt=0)] = 0.5,
    least: Annotated[int, Field(ge=1)] = 10,
) -> list[Wholes]:
    """Divide each class among the holders by a Dirichlet draw, so that mixtures and sizes differ.

    Args:
        labels: class of each record.
        sites: not used.
        holders: number of data holders.
        generator: random generator of the split.
        alpha: concentration of the draw. With ten classes and ten holders, the largest class of a
            holder makes up 59 % of its records for alpha 0.1, 28 % for 1, and 12 % for 100.
        least: least number of records of a holder. A holder with fewer gets records of the largest
            holder, drawn at random.

    Reference:
        Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks", 2019,
        section 4, which draws with alpha 0.5 and has no least number.
    """
    _check_enough(len(labels), holders, least)
    parts: list[list[int]] = [[] for _ in range(holders)]
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        shares = np.cumsum(generator.dirichlet(np.full(holders, alpha)))[:-1]
        dealt = np.split(members, (shares * len(members)).round().astype(int))
        for part, given in zip(parts, dealt, strict=True):
            part += given.tolist()
    while min(map(len, parts)) < least:
        largest = max(parts, key=len)
        min(parts, key=len).append(largest.pop(int(generator.integers(len(largest)))))
    return [np.sort(np.array(part, dtype=np.int64)) for part in parts]


@splits
@cites("hsu2019")
def dirichlet_mixtures(
    labels: Wholes,
    sites: Wholes,  # noqa: ARG001 - this split needs only the labels
    holders: int,
    generator: np.random.Generator,
    *,
    alpha: Annotated[float, Field(gt=0)] = 0.5,
) -> list[Wholes]:
    """Give all holders equal shares, each with a mixture of classes from a Dirichlet draw.

    The holders take turns. In each turn, a holder draws a class from its mixture, and takes a
    record of this class. A class without records left is drawn no more.

    Args:
        labels: class of each record.
        sites: not used.
        holders: number of data holders.
        generator: random generator of the split.
        alpha: concentration. A mixture has the distribution Dirichlet(alpha p), where p are the
            shares of the classes in all records. With ten classes and ten holders, the largest
            class of a holder makes up 57 % of its records for alpha 0.1, 48 % for 1, and 16 % for
            100.

    Reference:
        Hsu, Qi, Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated
        Visual Classification", 2019, section 3, with the same alpha p.
    """
    _check_enough(len(labels), holders, 1)
    classes, counts = np.unique(labels, return_counts=True)
    mixtures = generator.dirichlet(alpha * counts / len(labels), holders)
    left = [generator.permutation(np.flatnonzero(labels == each)).tolist() for each in classes]
    parts: list[list[int]] = [[] for _ in range(holders)]
    for turn in range(len(labels)):
        there = np.array([len(members) for members in left])
        wanted = mixtures[turn % holders] * (there > 0)
        # A holder of whose classes nothing is left takes any record.
        ends = np.cumsum(wanted if wanted.any() else there)
        drawn = np.searchsorted(ends, generator.random() * ends[-1], side="right")
        parts[turn % holders].append(left[int(drawn)].pop())
    return [np.sort(np.array(part, dtype=np.int64)) for part in parts]


@splits
@cites()
def by_site(
    labels: Wholes,  # noqa: ARG001 - this split needs only the sites
    sites: Wholes,
    holders: int,
    generator: np.random.Generator,
) -> list[Wholes]:
    """Give each holder whole sites; with fewer sites than holders, holders share a site.

    >>> sites = np.array([7, 8, 9, 7, 8, 9])
    >>> [part.tolist() for part in by_site(sites, sites, 2, np.random.default_rng(0))]
    [[0, 2, 3, 5], [1, 4]]
    """
    _check_enough(len(sites), holders, 1)
    names = np.unique(sites)
    parts: list[list[Wholes]] = [[] for _ in range(holders)]
    for place, name in enumerate(names):
        sharers = range(place % holders, holders, len(names))
        members = generator.permutation(np.flatnonzero(sites == name))
        for holder, given in zip(sharers, np.array_split(members, len(sharers)), strict=True):
            parts[holder].append(given)
    return [np.sort(np.concatenate(part)) for part in parts]


def _check_enough(records: int, holders: int, least: int) -> None:
    if records < holders * least:
        raise ValueError(
            f"split: {records} records for {holders} holders; needs {least} for each at least"
        )
