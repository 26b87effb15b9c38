"""Hashing: estimates of the number of tried nonces and of the time they take; also sampled work.

Sampled work draws the simulated time at which a node finds a block, and hashes nothing.
"""

from __future__ import annotations

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
"""Number of nonces that a compute node tries before it looks at the network again. So it
tries at most this many in vain after another node has found the block."""
_TRIED = 2_000
"""Number of tries that measure the speed of this machine; they take about two milliseconds."""


def attempts(bits: float, n_compute: int) -> float:
    """Return the mean number of nonces that all compute nodes together try until a block is found.

    A try finds a block with probability p = 2^-bits. Each of C nodes tries until it has found a
    block, at most T = 65,536 nonces, and then looks at the network. The nodes repeat such turns
    until one of them has found a block. On average a turn takes C (1 - (1-p)^T) / p tries, and
    1 / (1 - (1-p)^(TC)) turns are needed. For example, with 4 bits one node tries 16 nonces, and
    three nodes together try 48.

    Args:
        bits: bits of difficulty, 0 or more.
        n_compute: number of compute nodes C.

    >>> round(attempts(4, 1)), round(attempts(4, 3)), round(attempts(20, 3) / 2**20, 1)
    (16, 48, 1.1)
    """
    p = math.exp2(-bits)
    if bits == 0:
        return float(n_compute)
    alone = -math.expm1(TRIES * math.log1p(-p))
    some = -math.expm1(TRIES * n_compute * math.log1p(-p))
    return n_compute * alone / p / some


def expected_hashing_s(scenario: Scenario) -> float:
    """Estimate how many seconds this machine hashes for the main chain of a run.

    The speed of the machine is measured by a few tries. The estimate assumes that the target does
    not change. Sampled work hashes nothing, so it takes 0 s.
    """
    work = works.build(scenario.ledger.work)
    if work.kind == "sampled":
        return 0.0
    start = time.perf_counter()
    search(bytes(256), 0, _TRIED, 0)
    each_s = (time.perf_counter() - start) / _TRIED
    nodes = scenario.nodes.miners
    return scenario.rounds * attempts(math.log2(work_of(work.bits)), nodes) * each_s


def hashing_words(seconds: float) -> str:
    """Return the text that tells a user how long the search for nonces takes.

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
    """Simulated seconds after a new head at which the quorum is enough to start."""
    hashes_per_second: float
    """Tries per simulated second."""
    expected: int
    """Number of participants in a round. Once this many messages are there, no more can come."""
    draw: Callable[[int], float]
    """A function of the number of blocks that the node has found so far. It returns a random number
    in [0, 1), which decides how long sampled work takes."""


class SampledWork:
    """The tries of one compute node, simulated by drawing only the time at which one succeeds.

    Tries are independent: tries on one parent do not change the chances on the next. So one draw
    is used until the node finds a block, even if the head changes in the meantime. A new draw for
    every head would have the same distribution, but then each block would cause an
    event at every node.

    >>> work = SampledWork(100.0, lambda number: 0.3)
    >>> due_s = work.begin(0x207FFFFF, 10.0)  # p = 1/2: with 0.3 the first try succeeds
    >>> due_s == work.begin(0x207FFFFF, 10.002) == 10.01
    True
    """

    def __init__(self, tries_per_second: float, draw: Callable[[int], float]) -> None:
        """Start with nothing drawn; ``Effort`` describes the two arguments."""
        self.due_s: float | None = None
        """Simulated time at which the next block is found, seconds; None while the node is idle."""
        self._speed, self._draw = tries_per_second, draw
        self._successes = 0
        self._bits = 0
        self._left: float | None = None

    def begin(self, bits: int, now_s: float) -> float:
        """Begin or continue to work at a target (``bits``); return when a block will be found."""
        if self.due_s is not None:
            if bits == self._bits:
                return self.due_s
            self.pause(now_s)
        if self._left is None:
            self._left = float(drawn_tries(bits, self._draw(self._successes)))
        elif bits != self._bits:
            self._left *= work_of(bits) / work_of(self._bits)
        self._bits = bits
        self.due_s = now_s + self._left / self._speed
        return self.due_s

    def pause(self, now_s: float) -> None:
        """Pause the work, and keep the number of tries that are left."""
        if self.due_s is not None:
            self._left = (self.due_s - now_s) * self._speed
            self.due_s = None

    def succeed(self) -> None:
        """Count a found block, so that the next block takes a new draw."""
        self._successes += 1
        self._left = self.due_s = None


def worked(header: Header, work: WorkKind) -> bool:
    """Return whether the work that a header claims was done, so light clients may follow it."""
    try:
        return is_paid(work, header.hash, target_from_compact(header.bits))
    except (EncodingError, ValueError):
        return False
