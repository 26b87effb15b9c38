"""Skellam noise of one fixed scale on the integers: its law, its draws, and what they cost.

A Skellam number is the difference of two Poisson numbers of mean V / 2, and has variance
V = 2^46. A draw is made of integers and of constants that no data enter. The numbers lie in
blocks of 2^16. 32 bits of the key stream choose a slot and a place: most slots name a block, in
which all places are as likely as its least likely number; the few slots that are left stand for
the rest of the law, which is drawn by rejection.

Up to 13 standard deviations the probabilities are within e^(+-2^-40) of the law; beyond them
lie less than 2^-120 of it, and no draws. Both are counted in what the noise costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Matrix, Vector
from fedchain.privacy.accounting import epsilon_of_divergences, gaussian_epsilon
from fedchain.randomness import KeyStream

DEVIATION, VARIANCE = 2.0**23, 2.0**46
"""Standard deviation and variance of the noise, in steps of the grid."""
REACH = 13
"""Standard deviations beyond which no number is drawn."""
INSIDE = 9.0
"""Standard deviations within which all numbers of a run lie, but for a chance that is counted."""
SLOTS = PLACES = 2**16
"""Slots that name blocks, and numbers in a block: two bytes each."""
BLOCKS = int(REACH * DEVIATION) // PLACES
"""Blocks on either side of 0."""

Numbers = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]


def log_skellam(numbers: Vector) -> Vector:
    """Return the logarithm of the probability of each number (n,), against that of 0.

    The uniform expansion of e^-V I_x(V) with r = sqrt(V^2 + x^2); at V = 2^46 all but the first
    terms are below the last bit.

    Reference:
        NIST Digital Library of Mathematical Functions, 10.41.3.

    >>> round(float(log_skellam(np.array([DEVIATION]))[0]), 12)
    -0.5
    """
    squares = (numbers / DEVIATION) ** 2
    return -squares / 2 + (squares**2 / 24 - squares / 4) / VARIANCE


def skellams(keys: Sequence[bytes], count: int) -> Numbers:
    """Return Skellam numbers of variance 2^46 that only these keys give.

    Args:
        keys: 32 bytes each; none is ever used for anything else.
        count: how many numbers of each, 0 or more.

    Returns:
        Independent whole numbers, one row a key, shape (len(keys), count).

    Reference:
        Kronmal and Peterson, "The alias and alias-rejection-mixture methods for generating
        random variables from probability distributions", 1979.

    >>> keys = [bytes(32), bytes(31) + b"1"]
    >>> bool((skellams(keys, 1000)[1] == skellams(keys[1:], 1000)[0]).all())
    True
    """
    numbers = np.empty((len(keys), count), dtype=np.int32)
    table, streams, open_ = _table(), [KeyStream(key) for key in keys], []
    for row, stream in zip(numbers, streams, strict=True):
        words = stream.words((count + 1) // 2).view("<u4")[:count]
        slots = (words >> np.uint32(16)).astype(np.intp)
        np.take(table.starts, slots, out=row, mode="clip")
        words &= np.uint32(PLACES - 1)
        row += words.view(np.int32)
        open_.append(np.flatnonzero(slots >= table.named))
    _settle(numbers, open_, streams, table)
    return numbers


def _settle(
    numbers: Numbers, open_: list[npt.NDArray[np.intp]], streams: list[KeyStream], table: _Table
) -> None:
    """Fill the open places of each row with what the blocks leave of the law, by rejection."""
    rows = [row for row, places in enumerate(open_) if len(places)]
    while rows:
        tries = [2 * len(open_[row]) + 8 for row in rows]
        words = [
            streams[row].words(2 * n).reshape(2, n) for row, n in zip(rows, tries, strict=True)
        ]
        proposed, kept = _proposed(np.concatenate(words, axis=1), table)
        ends = np.cumsum(tries)[:-1]
        for row, its, good in zip(
            rows, np.split(proposed, ends), np.split(kept, ends), strict=True
        ):
            found = its[good][: len(open_[row])]
            numbers[row, open_[row][: len(found)]] = found
            open_[row] = open_[row][len(found) :]
        rows = [row for row in rows if len(open_[row])]


def _proposed(words: Words, table: _Table) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return the numbers that pairs of words (2, n) propose, and which of them are kept."""
    slots = (words[0] >> np.uint64(48)).astype(np.intp)
    places = (words[0] >> np.uint64(32)) & np.uint64(PLACES - 1)
    numbers = table.rest_starts[slots] + places.astype(np.int32)
    # 96 bits: what lies far out is kept rarely, and must be kept as often as it should
    drawn = words[1] * 2.0**-64 + (words[0] & np.uint64(2**32 - 1)) * 2.0**-96
    left = np.exp(log_skellam(numbers.astype(np.float64))) - table.rest_floors[slots]
    return numbers, drawn * table.rest_bounds[slots] < left


@dataclass(frozen=True)
class _Table:
    """What every slot stands for; the probability of 0 is 1 here."""

    starts: Numbers
    """The first number of a slot's block; 0 where a slot stands for the rest."""
    named: int
    """Slots that name a block; the others stand for the rest."""
    rest_starts: Numbers
    """The first number of the block that a slot names when the rest is drawn."""
    rest_floors: Vector
    """What the named slots give each number of that block."""
    rest_bounds: Vector
    """What a slot gives each number of that block before some are rejected."""


@lru_cache(maxsize=1)
def _table() -> _Table:
    starts = np.arange(-BLOCKS, BLOCKS, dtype=np.int32) * PLACES
    ends = np.stack([starts, starts + (PLACES - 1)]).astype(np.float64)
    logs: Matrix = log_skellam(ends.ravel()).reshape(2, -1)
    high, low = np.exp(logs.max(axis=0)), np.exp(logs.min(axis=0))
    # All numbers together are 1 / e^-V I_0(V), where 0 alone is 1.
    slot = math.sqrt(2 * math.pi * VARIANCE) * (1 - 1 / (8 * VARIANCE)) / (SLOTS * PLACES)
    counts = np.floor(low / slot).astype(np.int64)
    floors = counts * slot
    named = int(counts.sum())
    rest = high - floors
    share = rest.sum() / SLOTS
    while (many := np.ceil(rest / share).astype(np.int64)).sum() > SLOTS:
        share *= 1.001
    many[BLOCKS] += SLOTS - many.sum()
    bounds = many * share
    each, others = (np.repeat(np.arange(2 * BLOCKS), n) for n in (counts, many))
    return _Table(
        starts=np.concatenate([starts[each], np.zeros(SLOTS - named, dtype=np.int32)]),
        named=named,
        rest_starts=starts[others],
        rest_floors=floors[others],
        rest_bounds=bounds[others],
    )


def skellam_epsilon(
    noise_multiplier: float, dimension: int, releases: int, delta: float, shares: int = 1
) -> float:
    """Return a certified epsilon of Skellam releases at delta.

    Within z standard deviations a Skellam number and a normal number rounded to the grid have
    probabilities within e^(+-(z^4 + 8 z^2 + 8) / 24 V) of each other. What is rounded costs no
    more than what was rounded, so that the closed form of normal noise holds, with these ratios
    over all numbers of the run added to epsilon, and the chance of any number outside to delta.

    Args:
        noise_multiplier: sigma over the sensitivity on the grid.
        dimension: d.
        releases: 1 or more.
        delta: above 0, below 1.
        shares: draws of variance 2^46 that are added up to one number, 1 or more.

    Returns:
        epsilon; inf where delta is below the chance of a number outside, or the noise below a
        quarter of the sensitivity; of several shares below it, since no draw is beyond 13 of its
        own deviations: a sum of two within 10 is missed by less than 2^-48 of its probability.

    >>> round(skellam_epsilon(20.0, 30000, 100, 1e-5), 3)
    1.993
    """
    if INSIDE + 1 / noise_multiplier > (REACH if shares == 1 else INSIDE + 1):
        return math.inf
    numbers = dimension * releases
    outside = numbers * 4 * math.exp(log_tail(INSIDE))
    ratio = numbers * _log_ratio(INSIDE + 1 / noise_multiplier, shares)
    inside = delta * math.exp(-ratio) - outside
    if inside <= 0:
        return math.inf
    return gaussian_epsilon(inside, math.sqrt(releases) / noise_multiplier) + 2 * ratio


def log_tail(deviations: float) -> float:
    """Bound log P(x > deviations sigma) of a Skellam number, by Chernoff: -z^2/2 and a little.

    >>> log_tail(9.0) < -40.4
    True
    """
    return -(deviations**2) / 2 + deviations**4 / (24 * VARIANCE)


def _log_ratio(deviations: float, shares: int) -> float:
    square = deviations**2
    drawn = shares * 2.0**-40 + (2.0**-48 if shares > 1 else 0.0)
    return (square**2 + 8 * square + 8) / (24 * shares * VARIANCE) + drawn


def skellam_rdp_epsilon(
    noise_multiplier: float, dimension: int, releases: int, delta: float, shares: int = 1
) -> float:
    """Return the Rényi bound on epsilon of Skellam releases: by another road.

    Args:
        noise_multiplier: sigma over the sensitivity on the grid.
        dimension: d.
        releases: 1 or more.
        delta: above 0, below 1.
        shares: draws of variance 2^46 that are added up to one number, 1 or more.

    Reference:
        Agarwal, Kairouz and Liu, "The Skellam Mechanism for Differentially Private Federated
        Learning", theorem 3.5.

    >>> 1.993 < skellam_rdp_epsilon(20.0, 30000, 100, 1e-5) < 1.993 * 1.1
    True
    """
    variance = shares * VARIANCE
    two = math.sqrt(variance) / noise_multiplier
    one = math.sqrt(dimension) * two
    divergences: dict[float, float] = {}
    for order in [*range(2, 64), *(round(64 * 2 ** (x / 4)) for x in range(25))]:
        first = ((2 * order - 1) * two**2 + 6 * one) / (4 * variance**2)
        more = min(first, 3 * one / (2 * variance))
        divergences[order] = releases * (order * two**2 / (2 * variance) + more)
    return epsilon_of_divergences(divergences, delta)
