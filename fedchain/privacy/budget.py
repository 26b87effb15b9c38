"""The budget of one data holder: every release counts, whatever became of it.

A release is an answer to a parent block. After a fork the holder may be asked at another parent
of the same height: answering is one release more, also when the block that used the first
answer was lost. Sending the same answer again costs nothing, since its noise is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from fedchain.privacy.mechanisms import Mechanism


class Budget:
    """Counts the releases of one holder against what its mechanism was built for.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> budget = Budget(gaussian(1, 10, epsilon=1.0, clip=0.1, spare_releases=0))
    >>> budget.spend(b"parent")
    >>> budget.allows(b"parent"), budget.allows(b"another parent")
    (True, False)
    """

    def __init__(self, mechanism: Mechanism, parents: Iterable[bytes] = ()) -> None:
        """Start a budget, or continue one: parents are the block hashes answered before."""
        self.mechanism = mechanism
        self._parents = set(parents)

    @property
    def releases(self) -> int:
        """Releases made so far."""
        return len(self._parents)

    @property
    def epsilon(self) -> float:
        """Tight total epsilon of the releases made so far."""
        return self.mechanism.epsilon_after(self.releases)

    def allows(self, parent: bytes) -> bool:
        """Say whether the holder may answer this parent; without a promise it always may."""
        return (
            parent in self._parents
            or self.releases < self.mechanism.releases
            or math.isinf(self.mechanism.epsilon_per_release)
        )

    def spend(self, parent: bytes) -> None:
        """Count the answer to this parent, once.

        Raises:
            ValueError: the budget does not allow it.
        """
        if not self.allows(parent):
            raise ValueError(
                f"privacy budget: all {self.mechanism.releases} releases are made; "
                "the holder must stay silent"
            )
        self._parents.add(parent)
