"""Sampled work: the number of tries for a block is drawn, and nothing is hashed."""

from __future__ import annotations

from collections.abc import Callable

from fedchain.ledger.chain.work import drawn_tries, work_of


class SampledWork:
    """The tries of one compute node, of which only the time of the success is simulated.

    Tries are independent: those on one parent neither help nor hinder on the next. So one draw
    lasts until the node finds a block, even if the head changes in the meantime. A new draw for
    every head would have the same distribution, but each block of another node would then cost
    every node an event.

    >>> work = SampledWork(100.0, lambda number: 0.3)
    >>> due_s = work.begin(0x207FFFFF, 10.0)  # p = 1/2: with 0.3 the first try succeeds
    >>> due_s == work.begin(0x207FFFFF, 10.002) == 10.01
    True
    """

    def __init__(self, tries_per_second: float, draw: Callable[[int], float]) -> None:
        """Start with nothing drawn.

        Args:
            tries_per_second: tries per simulated second, above 0.
            draw: number of blocks found so far, from 0, to a number in [0, 1); each node has its
                own draws.
        """
        self.due_s: float | None = None
        """When the next block will be found, simulated seconds; None while the node is idle."""
        self._speed, self._draw = tries_per_second, draw
        self._successes = 0
        self._bits = 0
        self._left: float | None = None

    def begin(self, bits: int, now_s: float) -> float:
        """Begin or continue to work at this difficulty; return when a block will be found.

        Args:
            bits: target of the block, in compact form.
            now_s: simulated seconds.
        """
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
        """Pause the work; the number of tries that are left is kept."""
        if self.due_s is not None:
            self._left = (self.due_s - now_s) * self._speed
            self.due_s = None

    def succeed(self) -> None:
        """Count a found block, so that the next block takes a new draw."""
        self._successes += 1
        self._left = self.due_s = None
