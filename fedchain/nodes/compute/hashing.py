"""How long real work takes: nonces that all compute nodes try, and the wall time of it here."""

from __future__ import annotations

import math
import time

from fedchain.ledger.chain.work import Work, search, work_of

TRIES = 65_536
"""Nonces tried between two looks at the network: a loser stops at most this much too late."""
_TRIED = 2_000
"""Tries that tell how fast this machine is: two milliseconds."""


def attempts(bits: float, compute: int) -> float:
    """Return how many nonces all compute nodes try for a block, on average.

    A try finds a block with p = 2^-bits. Each of C nodes tries until it has found one, T =
    65,536 nonces at most, before it looks at the network again; such rounds follow until one of
    the C has found: C (1 - (1-p)^T) / p tries a round, 1 / (1 - (1-p)^(TC)) rounds.

    Args:
        bits: of difficulty, 0 or more.
        compute: number of compute nodes.

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
    """Return about how long this machine hashes for so many blocks: it tries for a moment.

    Args:
        work: how blocks are paid for; sampled work takes no time.
        blocks: number of blocks; the target is taken to stay.
        compute: number of compute nodes, each of which searches.

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
    """Return what a run is told to spend on the search for nonces.

    >>> hashing_words(0.0), hashing_words(0.1234), hashing_words(5120.4)
    ('none: work is drawn', 'about 0.123 s here', 'about 5,120 s here')
    """
    if not seconds:
        return "none: work is drawn"
    return f"about {seconds:,.0f} s here" if seconds >= 100 else f"about {seconds:.3g} s here"
