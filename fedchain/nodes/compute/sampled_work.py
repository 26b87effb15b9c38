"""When the work of a compute node is done, where the number of its tries is drawn."""

from __future__ import annotations

from collections.abc import Callable

from fedchain.ledger.chain.work import drawn_tries, work_of


class SampledWork:
    """The tries of one compute node, of which only the success is seen.

    No try knows of those before it: what was tried for one parent neither helps nor hinders on
    the next. So one draw lasts until the node finds a block, whatever heads come and go
    meanwhile; a draw for every head follows the same law, and would cost an event a node for
    each block that others find.

    >>> work = SampledWork(100.0, lambda number: 0.3)
    >>> due_s = work.begin(0x207FFFFF, 10.0)  # of two tries one succeeds: half of all first ones
    >>> due_s == work.begin(0x207FFFFF, 10.002) == 10.01
    True
    """

    def __init__(self, tries_per_second: float, draw: Callable[[int], float]) -> None:
        """Begin with nothing drawn.

        Args:
            tries_per_second: in a simulated second, above 0.
            draw: a number from 0 upwards to this node's own number in [0, 1).
        """
        self.due_s: float | None = None
        """When the next block is found, simulated seconds; None while the node does not work."""
        self._speed, self._draw = tries_per_second, draw
        self._successes = 0
        self._bits = 0
        self._left: float | None = None

    def begin(self, bits: int, now_s: float) -> float:
        """Work from now on at this difficulty, and return when a block will be found.

        Args:
            bits: compact target of the block that is worked on.
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
        """Stop working for a while; what is left to try stays."""
        if self.due_s is not None:
            self._left = (self.due_s - now_s) * self._speed
            self.due_s = None

    def succeed(self) -> None:
        """Find the block: the next one takes a draw of its own."""
        self._successes += 1
        self._left = self.due_s = None
