"""Budget: counts every release of one participant, whether or not a block includes the release.

A release answers one parent block. After a fork, an answer to another parent block of the same
height is a further release.
"""

from __future__ import annotations

import math

from fedchain.privacy.mechanisms import Mechanism

KEPT_ANSWERS = 8
"""Number of latest answers that a budget remembers. An older answer that is sent again counts as a
further release."""


class Budget:
    """Counts the releases of a holder or group, and allows only those that its mechanism covers.

    If the mechanism has a schedule of noise, the budget also chooses the noise of each release.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> budget = Budget(gaussian(1, 10, epsilon=1.0, clip=0.1, spare_releases=0))
    >>> budget.spend(b"parent", 1)
    >>> budget.noise_step(b"parent", 1), budget.noise_step(b"another parent", 1)
    (0, None)
    """

    # there may be a million of them
    __slots__ = ("_answered", "_last", "_rounds", "_spent", "each", "mechanism", "releases")

    def __init__(self, mechanism: Mechanism, each: int = 1) -> None:
        self.mechanism = mechanism
        self.each = each
        """Number of releases in an answer; see ``releases_in_message``."""
        self.releases = 0
        """Number of releases so far."""
        self._answered: tuple[tuple[bytes, int], ...] = ()
        self._spent = 0.0
        self._rounds = self._last = 0

    @property
    def epsilon(self) -> float:
        """Tight total epsilon of the releases so far; with a schedule of noise, an upper bound."""
        return self.mechanism.epsilon_after(self.releases)

    def noise_step(self, parent: bytes, round_: int) -> int | None:
        """Return the index of an answer's noise, in the mechanism's list of noise multipliers.

        An answer that is sent again has the same noise.

        Args:
            parent: hash of the parent block, 32 bytes.
            round_: height of the block that may include the answer.

        Returns:
            The index: 0 if all releases have the same noise, None if the budget does not allow the
            answer. A mechanism that promises no privacy allows all answers.
        """
        for answered, step in self._answered:
            if answered == parent:
                return step
        schedule = self.mechanism.noise_schedule
        if schedule is not None:
            return schedule.step_for(self._spent, self._rounds - (round_ <= self._last))
        if self.releases + self.each <= self.mechanism.terms.releases:
            return 0
        return 0 if math.isinf(self.mechanism.epsilon_per_release) else None

    def releases_with(self, parent: bytes) -> int:
        """Return the number of releases after an answer to a parent block, given its hash.

        An answer that is sent again is not counted again.

        >>> from fedchain.privacy.mechanisms import gaussian
        >>> budget = Budget(gaussian(2, 10, epsilon=1.0, clip=0.1, spare_releases=0))
        >>> budget.spend(b"parent", 1)
        >>> budget.releases_with(b"parent"), budget.releases_with(b"another parent")
        (1, 2)
        """
        known = parent in (answered for answered, _ in self._answered)
        return self.releases + (0 if known else self.each)

    def spend(self, parent: bytes, round_: int) -> None:
        """Count the answer to a parent block, unless it is counted already.

        The arguments are those of ``noise_step``.

        Raises:
            ValueError: the budget does not allow this answer.
        """
        step = self.noise_step(parent, round_)
        if step is None:
            raise ValueError(
                f"privacy budget: it is spent after {self.releases} releases; the holder must "
                "stay silent"
            )
        if self.releases_with(parent) == self.releases:
            return
        if (schedule := self.mechanism.noise_schedule) is not None:
            self._spent += schedule.costs[step]
        self._rounds += round_ > self._last
        self._last = max(self._last, round_)
        self.releases += self.each
        self._answered = (*self._answered, (parent, step))[-KEPT_ANSWERS:]


class NoBudget(Budget):
    """The budget of the public root: no release costs privacy, and none is counted."""

    def noise_step(self, parent: bytes, round_: int) -> int:  # noqa: ARG002
        """Return 0: every answer is allowed, and none has noise."""
        return 0

    def spend(self, parent: bytes, round_: int) -> None:
        """Count nothing."""
