"""Splits: they divide the records of a task among the holders."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Wholes
from fedchain.learning.task import splits


@splits
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
def dirichlet(
    labels: Wholes,
    sites: Wholes,  # noqa: ARG001 - this split needs only the labels
    holders: int,
    generator: np.random.Generator,
    *,
    alpha: Annotated[float, Field(gt=0)] = 0.5,
    least: Annotated[int, Field(ge=1)] = 10,
) -> list[Wholes]:
    """Divide each class by a Dirichlet draw: holders differ in their classes and in their sizes.

    Args:
        labels: class of each record, (n,).
        sites: where each record was taken, (n,).
        holders: number of data holders.
        generator: the split's random stream.
        alpha: concentration of the draw; at 0.1 a holder has one or two classes, at 100 the split
            is nearly iid.
        least: least number of records of a holder; the largest holders give some to smaller ones.

    Reference:
        Hsu, Qi, Brown, "Measuring the Effects of Non-Identical Data Distribution", 2019.
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
        min(parts, key=len).append(max(parts, key=len).pop())
    return [np.sort(np.array(part, dtype=np.int64)) for part in parts]


@splits
def by_site(
    labels: Wholes,  # noqa: ARG001 - this split needs only the sites
    sites: Wholes,
    holders: int,
    generator: np.random.Generator,
) -> list[Wholes]:
    """Give each holder whole sites; if sites are too few, several holders share a site evenly.

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
