"""Hashing: it estimates the time of proof of work, and draws the time of sampled work.

Sampled work hashes nothing: the simulated time at which a node finds a block is drawn at random.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from fedchain.errors import EncodingError
from fedchain.ledger.chain.block import Header
from fedchain.ledger.chain.work import (
    WorkKind,
    drawn_tries,
    is_paid,
    search,
    target_from_compact,
    work_of,
    works,
)
from fedchain.scenario import Scenario

TRIES = 65_536
"""Number of nonces after which the simulated time of a search is rounded."""
FEWEST_TRIES = 32
"""Least number of nonces that a compute node tries before it looks for new blocks."""
LOOKS = 8
"""Approximate number of times that a compute node looks for new blocks in an interval."""
SAMPLES, SAMPLE_TRIES = 8, 1_000
"""Number of samples that measure the speed of this machine, and number of tries in each."""


def attempts(bits: float, n_compute: int) -> float:
    """Return the mean number of nonces that all compute nodes together try until a block is found.

    A node that has begun a stretch of nonces ends it even if another node finds a block. So with 4
    bits one node tries 16 nonces, but three nodes together try 42.

    Args:
        bits: bits of difficulty, 0 or more. Each nonce succeeds with probability 2^-bits.
        n_compute: number of compute nodes.

    >>> round(attempts(4, 1)), round(attempts(4, 3)), round(attempts(20, 3) / 2**20, 1)
    (16, 42, 1.0)
    """
    # In a turn each of C nodes tries until it has found a block, at most T nonces. With p = 2^-bits
    # a turn takes C (1 - (1-p)^T) / p tries on average, and 1 / (1 - (1-p)^(TC)) turns are needed.
    most = stretch(math.exp2(bits) / n_compute)
    p = math.exp2(-bits)
    if bits == 0:
        return float(n_compute)
    alone = -math.expm1(most * math.log1p(-p))
    some = -math.expm1(most * n_compute * math.log1p(-p))
    return n_compute * alone / p / some


def stretch(tries: float) -> int:
    """Return how many nonces a node tries before it looks for new blocks.

    The result is a power of two from ``FEWEST_TRIES`` to ``TRIES``.

    Args:
        tries: the mean number of nonces that the node tries from one block to the next, above 0.

    >>> stretch(5.0), stretch(1365.0), stretch(1e9)
    (32, 128, 65536)
    """
    # A node looks in the midst of its search, so that it seldom searches for a block that another
    # node has found already in simulated time.
    return 1 << round(math.log2(min(max(tries / LOOKS, FEWEST_TRIES), TRIES)))


def expected_hashing_s(scenario: Scenario) -> float:
    """Return the estimated seconds that this machine hashes for a run; 0 for sampled work.

    The estimate counts the main chain only, and assumes a constant target.
    """
    work = works.build(scenario.ledger.work)
    if work.kind == "sampled":
        return 0.0
    tries = scenario.rounds * attempts(math.log2(work_of(work.bits)), scenario.nodes.miners)
    return tries * seconds_per_try()


@functools.cache
def seconds_per_try() -> float:
    """Return the seconds that this machine needs to try a nonce, measured once per process.

    Other programs can only slow a sample down, so the fastest sample counts.
    """
    spent = []
    for _ in range(SAMPLES):
        start = time.perf_counter()
        search(bytes(256), 0, SAMPLE_TRIES, 0)
        spent.append(time.perf_counter() - start)
    return min(spent) / SAMPLE_TRIES


def hashing_words(seconds: float) -> str:
    """Return a text for the user about the duration of hashing, given in seconds.

    >>> hashing_words(0.0), hashing_words(0.1234), hashing_words(5120.4)
    ('none: work is drawn', 'about 0.123 s here', 'about 5,120 s here')
    """
    if not seconds:
        return "none: work is drawn"
    return f"about {seconds:,.0f} s here" if seconds >= 100 else f"about {seconds:.3g} s here"


@dataclass(frozen=True)
class Effort:
    """When a compute node starts its work, and how fast it works."""

    deadline_s: float
    """Simulated seconds after a new head until the quorum of messages is enough to start."""
    hashes_per_second: float
    """Tries per simulated second."""
    expected: int
    """Number of participants in a round. With this number of messages the node starts at once."""
    draw: Callable[[int], float]
    """A function that returns a random number in [0, 1) for the duration of sampled work, given the
    number of blocks that the node has found so far."""


class SampledWork:
    """The sampled work of one compute node: the time of the next success is drawn at random.

    The same draw is used until the node finds a block, even if the head changes in the meantime.

    >>> work = SampledWork(100.0, lambda number: 0.3)
    >>> due_s = work.begin(0x207FFFFF, 10.0)  # p = 1/2: with 0.3 the first try succeeds
    >>> due_s == work.begin(0x207FFFFF, 10.002) == 10.01
    True
    """

    def __init__(self, tries_per_second: float, draw: Callable[[int], float]) -> None:
        """Start without work. ``Effort`` describes the speed and the draw."""
        self.due_s: float | None = None
        """Time at which the node finds its next block, simulated seconds; None while it pauses."""
        self._speed, self._draw = tries_per_second, draw
        self._successes = 0
        self._bits = 0
        self._left: float | None = None

    def begin(self, bits: int, now_s: float) -> float:
        """Begin or continue to work; return the simulated time of success in seconds.

        Args:
            bits: the target in compact form, as in a block header.
            now_s: simulated seconds since genesis.
        """
        if self.due_s is not None:
            if bits == self._bits:
                return self.due_s
            self.pause(now_s)
        # Tries are independent, so a new draw for every head would have the same distribution. But
        # then each block would cause an event at every node.
        if self._left is None:
            self._left = float(drawn_tries(bits, self._draw(self._successes)))
        elif bits != self._bits:
            self._left *= work_of(bits) / work_of(self._bits)
        self._bits = bits
        self.due_s = now_s + self._left / self._speed
        return self.due_s

    def pause(self, now_s: float) -> None:
        """Pause the work, and keep the number of remaining tries."""
        if self.due_s is not None:
            self._left = (self.due_s - now_s) * self._speed
            self.due_s = None

    def succeed(self) -> None:
        """Count a found block; the next block takes a new draw."""
        self._successes += 1
        self._left = self.due_s = None


def worked(header: Header, work: WorkKind) -> bool:
    """Return whether the work of a header is done; False if the header cannot be encoded."""
    try:
        return is_paid(work, header.hash, target_from_compact(header.bits))
    except (EncodingError, ValueError):
        return False
