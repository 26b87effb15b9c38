"""Skellam noise of one fixed scale on the integers: its distribution, its draws, and its epsilon.

A Skellam number is the difference of two Poisson numbers with the same mean, here 2^45. The
probabilities of drawn numbers are exact to a factor of e^(+-2^-40). Epsilon accounts for this
error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Matrix, Vector, Words
from fedchain.native.loading import library
from fedchain.privacy.accounting import epsilon_of_divergences, gaussian_epsilon
from fedchain.randomness import KeyStream

DEVIATION, VARIANCE = 2.0**23, 2.0**46
"""Standard deviation and variance of the noise, in steps of the grid."""
REACH = 13
"""Number of standard deviations beyond which no number is drawn."""
INSIDE = 9.0
"""Epsilon assumes that all numbers of a run lie within this number of standard deviations. Delta
includes the chance that one does not."""
SLOTS = BLOCK_SIZE = 2**16
"""Number of slots in a ``_Table``, and number of integers in a block."""
BLOCKS = int(REACH * DEVIATION) // BLOCK_SIZE
"""Number of blocks on either side of 0."""

Steps32 = npt.NDArray[np.int32]
"""Int32 array of Skellam numbers, in steps of the grid."""


def log_skellam(numbers: Vector) -> Vector:
    """Return the logarithm of each number's probability, relative to the probability of 0.

    Reference:
        NIST Digital Library of Mathematical Functions, 10.41.3.

    >>> round(float(log_skellam(np.array([DEVIATION]))[0]), 12)
    -0.5
    """
    # A number x has the probability e^-V I_x(V), with the modified Bessel function I_x. These are
    # the first terms of its uniform expansion; at V = 2^46 the others are too small for float64.
    squares = (numbers / DEVIATION) ** 2
    return -squares / 2 + (squares**2 / 24 - squares / 4) / VARIANCE


def skellams(keys: Sequence[bytes], count: int) -> Steps32:
    """Return Skellam numbers of variance 2^46, one row for each key, shape (len(keys), count).

    The keys are as in ``normals``.

    Reference:
        Kronmal and Peterson, "The alias and alias-rejection-mixture methods for generating
        random variables from probability distributions", 1979.

    >>> keys = [bytes(32), bytes(31) + b"1"]
    >>> bool((skellams(keys, 1000)[1] == skellams(keys[1:], 1000)[0]).all())
    True
    """
    numbers = np.empty((len(keys), count), dtype=np.int32)
    table, streams, open_ = _table(), [KeyStream(key) for key in keys], []
    kernels, places = library(), np.empty(count, dtype=np.int64)
    for row, stream in zip(numbers, streams, strict=True):
        words = stream.words((count + 1) // 2).view("<u4")[:count]
        if kernels is not None:
            named = kernels.from_blocks(words, row, count, table.starts, table.named, places)
            open_.append(places[:named].copy())
        else:
            open_.append(_from_blocks(words, row, table))
    _settle(numbers, open_, streams, table)
    return numbers


def _from_blocks(words: Words, numbers: Steps32, table: _Table) -> npt.NDArray[np.int64]:
    """Write a number for each word, and return the places whose slots name no block."""
    slots = (words >> np.uint32(16)).astype(np.intp)
    np.take(table.starts, slots, out=numbers, mode="clip")
    words &= np.uint32(BLOCK_SIZE - 1)
    numbers += words.view(np.int32)
    return np.flatnonzero(slots >= table.named)


def _settle(
    numbers: Steps32, open_: list[npt.NDArray[np.int64]], streams: list[KeyStream], table: _Table
) -> None:
    """Fill the places that have no number yet, by rejection sampling.

    ``open_`` has the indices of these places in each row.
    """
    rows = [row for row, places in enumerate(open_) if len(places)]
    while rows:
        tries = [2 * len(open_[row]) + 8 for row in rows]
        words = [
            streams[row].words(2 * n).reshape(2, n) for row, n in zip(rows, tries, strict=True)
        ]
        proposed, kept = _propose(np.concatenate(words, axis=1), table)
        ends = np.cumsum(tries)[:-1]
        for row, its, good in zip(
            rows, np.split(proposed, ends), np.split(kept, ends), strict=True
        ):
            found = its[good][: len(open_[row])]
            numbers[row, open_[row][: len(found)]] = found
            open_[row] = open_[row][len(found) :]
        rows = [row for row in rows if len(open_[row])]


def _propose(words: npt.NDArray[np.uint64], table: _Table) -> tuple[Steps32, npt.NDArray[np.bool_]]:
    """Return the number that each pair of random words proposes, and whether to accept the number.

    ``words`` has shape (2, n).
    """
    slots = (words[0] >> np.uint64(48)).astype(np.intp)
    places = (words[0] >> np.uint64(32)) & np.uint64(BLOCK_SIZE - 1)
    numbers = table.rest_starts[slots] + places.astype(np.int32)
    # 96 bits: the chance to accept a number far out is so small that 64 bits do not resolve it
    drawn = words[1] * 2.0**-64 + (words[0] & np.uint64(2**32 - 1)) * 2.0**-96
    left = np.exp(log_skellam(numbers.astype(np.float64))) - table.rest_floors[slots]
    return numbers, drawn * table.rest_bounds[slots] < left


@dataclass(frozen=True)
class _Table:
    """Blocks of integers from which numbers are drawn. Every draw begins with a random slot.

    Most slots name a block, and the draw takes a random number of this block. For the other slots,
    the number is drawn by rejection. All probabilities are relative to that of 0.
    """

    starts: Steps32
    """First number of the block that each slot names; 0 where a slot names none."""
    named: int
    """Number of slots that name a block. These slots come first."""
    rest_starts: Steps32
    """First number of the block of each slot, in a draw by rejection."""
    rest_floors: Vector
    """Probability that the named slots already give to each number of the block in
    ``rest_starts``."""
    rest_bounds: Vector
    """Upper bound on the missing probability of each number of the block in ``rest_starts``."""


@lru_cache(maxsize=1)
def _table() -> _Table:
    starts = np.arange(-BLOCKS, BLOCKS, dtype=np.int32) * BLOCK_SIZE
    ends = np.stack([starts, starts + (BLOCK_SIZE - 1)]).astype(np.float64)
    logs: Matrix = log_skellam(ends.ravel()).reshape(2, -1)
    high, low = np.exp(logs.max(axis=0)), np.exp(logs.min(axis=0))
    # Relative to the probability of 0, all probabilities add up to 1 / (e^-V I_0(V)).
    slot = math.sqrt(2 * math.pi * VARIANCE) * (1 - 1 / (8 * VARIANCE)) / (SLOTS * BLOCK_SIZE)
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
    """Return an upper bound on the total epsilon of Skellam releases at delta.

    Args:
        noise_multiplier: standard deviation divided by the sensitivity on the grid.
        dimension: length of a gradient.
        releases: number of releases, 1 or more.
        delta: above 0, below 1.
        shares: number of draws, of variance 2^46 each, that are added up to one number.

    Returns:
        The bound; inf if delta or the noise multiplier is too small. The least noise multiplier is
        1/4, or 1 with several shares.

    For noise multiplier 20, 30,000 weights and 100 releases:

    >>> round(skellam_epsilon(20.0, 30000, 100, 1e-5), 3)
    1.993
    """
    # The limit is stricter for several shares, because each draw ends at 13 of its own deviations:
    # a sum of two draws within 10 deviations lacks less than 2^-48 of its probability.
    #
    # Consider a Skellam number and a normal number rounded to the grid. Within z deviations, the
    # ratio of their probabilities is within e^(+-(z^4 + 8 z^2 + 8) / 24 V), where V = 2^46.
    # Rounding does not raise the epsilon of normal noise. Epsilon therefore grows by the logarithms
    # of these ratios, and delta by the chance that any number of the run lies beyond z deviations.
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
    """Return Chernoff's bound on the log-probability that Skellam noise exceeds a threshold.

    ``deviations`` is the threshold in standard deviations of the noise.

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
    """Return the Rényi bound on the total epsilon of Skellam releases at delta.

    The arguments are those of ``skellam_epsilon``.

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
