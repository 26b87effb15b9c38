"""Hashing time: how many nonces all compute nodes try, and how long that takes on this machine."""

from __future__ import annotations

import math
import time

from fedchain.ledger.chain.work import Work, search, work_of

TRIES = 65_536
"""Number of nonces that a compute node tries before it looks at the network again. When another
node finds the block first, it tries at most so many in vain."""
_TRIED = 2_000
"""Number of tries that measure the speed of this machine; they take about two milliseconds."""


def attempts(bits: float, compute: int) -> float:
    """Return how many nonces all compute nodes try for a block, on average.

    A try finds a block with probability p = 2^-bits. Each of C nodes tries until it has found a
    block, at most T = 65,536 nonces, and then looks at the network. The nodes repeat such turns
    until one of them has found a block. On average a turn takes C (1 - (1-p)^T) / p tries, and
    1 / (1 - (1-p)^(TC)) turns are needed.

    Args:
        bits: bits of difficulty, 0 or more.
        compute: number of compute nodes C.

    >>> round(attempts(4, 1)), round(attempts(4, 3)), round(attempts(20, 3) / 2**20, 1)
    (16, 48, 1.1)
    """
    p = math.exp2(-bits)
    if bits == 0:
        return float(compute)
    alone = -math.expm1(TRIES * math.log1p(-p))
    some = -math.expm1(TRIES * compute * math.log1p(-p))
    return compute * alone / p / some


def hashing_seconds(work: Work, blocks: int, compute: int) -> float:
    """Estimate how long this machine hashes for a number of blocks, seconds.

    The speed of the machine is measured by a few tries.

    Args:
        work: the kind of work, and its difficulty; sampled work takes no time.
        blocks: number of blocks; the estimate assumes that the target does not change.
        compute: number of compute nodes; each of them searches.

    >>> from fedchain.ledger.chain.work import sampled
    >>> hashing_seconds(sampled(), 1000, 3)
    0.0
    """
    if work.kind == "sampled":
        return 0.0
    start = time.perf_counter()
    search(bytes(256), 0, _TRIED, 0)
    each_s = (time.perf_counter() - start) / _TRIED
    return blocks * attempts(math.log2(work_of(work.bits)), compute) * each_s


def hashing_words(seconds: float) -> str:
    """Return the text that tells a user how long the search for nonces takes.

    >>> hashing_words(0.0), hashing_words(0.1234), hashing_words(5120.4)
    ('none: work is drawn', 'about 0.123 s here', 'about 5,120 s here')
    """
    if not seconds:
        return "none: work is drawn"
    return f"about {seconds:,.0f} s here" if seconds >= 100 else f"about {seconds:.3g} s here"
