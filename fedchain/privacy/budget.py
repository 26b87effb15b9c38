"""Budget of one participant: it counts every release, whether or not a block included it.

A release is an answer to a parent block. After a fork a holder may be asked at another parent of
the same height. The answer is then a further release, even if the block that used the first answer
lost a fork. Sending the same answer again costs nothing, since its noise is the same.
"""

from __future__ import annotations

import math

from fedchain.privacy.mechanisms import Mechanism

KEPT_ANSWERS = 8
"""Number of latest answers whose parents a budget remembers. A second answer to an older parent
counts as a further release."""


class Budget:
    """Counts the releases of a holder or group, up to the number that its mechanism covers.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> budget = Budget(gaussian(1, 10, epsilon=1.0, clip=0.1, spare_releases=0))
    >>> budget.spend(b"parent")
    >>> budget.allows(b"parent"), budget.allows(b"another parent")
    (True, False)
    """

    __slots__ = ("_answered", "mechanism", "releases")  # there may be a million of them

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism
        self.releases = 0
        """Releases made so far."""
        self._answered: tuple[bytes, ...] = ()

    @property
    def epsilon(self) -> float:
        """Tight total epsilon of the releases made so far."""
        return self.mechanism.epsilon_after(self.releases)

    def allows(self, parent: bytes) -> bool:
        """Return whether the holder may answer this parent; True if no privacy is promised."""
        return (
            parent in self._answered
            or self.releases < self.mechanism.terms.releases
            or math.isinf(self.mechanism.epsilon_per_release)
        )

    def spend(self, parent: bytes) -> None:
        """Count the answer to this parent, unless it is counted already.

        Raises:
            ValueError: the budget does not allow this answer.
        """
        if not self.allows(parent):
            raise ValueError(
                f"privacy budget: all {self.mechanism.terms.releases} releases are made; "
                "the holder must stay silent"
            )
        if parent not in self._answered:
            self.releases += 1
            self._answered = (*self._answered, parent)[-KEPT_ANSWERS:]
