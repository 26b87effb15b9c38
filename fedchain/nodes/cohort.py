"""The cohort: holders that work at the same weights share one computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fedchain.arrays import Matrix, Vector
from fedchain.timing import Stopwatch

KEPT_PARENTS = 8
"""Blocks whose gradients are remembered: forks older than this ask for no new release."""

Gradients = Callable[[Vector, Sequence[int]], Matrix]
"""(weights (d,), holders) to one row a holder, (len(holders), d)."""


class Cohort:
    """Computes the gradients of all holders that wait at one block when the first is needed.

    A row does not depend on who else is in the cohort, so that nothing but time is won or lost
    by what is computed together.
    """

    def __init__(
        self, gradients: Gradients, weights_at: Callable[[bytes], Vector], watch: Stopwatch
    ) -> None:
        self._gradients = gradients
        self._weights_at = weights_at
        self._watch = watch
        self._waiting: dict[bytes, list[int]] = {}
        self._rows: dict[bytes, dict[int, Vector]] = {}

    def expect(self, holder: int, parent: bytes) -> None:
        """Note that a holder begins to work at this block."""
        self._waiting.setdefault(parent, []).append(holder)

    def gradient(self, holder: int, parent: bytes) -> Vector:
        """Return the clipped mean gradient (6) of a holder at a block, shape (d,)."""
        rows = self._rows.setdefault(parent, {})
        if holder not in rows:
            # Many forks may have pushed the parent out: then the holder is alone.
            together = sorted({holder, *self._waiting.pop(parent, ())})
            with self._watch("gradients"):
                matrix = self._gradients(self._weights_at(parent), together)
            rows.update(zip(together, matrix, strict=True))
            self._forget()
        return rows[holder]

    def _forget(self) -> None:
        for kept in (self._rows, self._waiting):
            while len(kept) > KEPT_PARENTS:
                kept.pop(next(iter(kept)))
