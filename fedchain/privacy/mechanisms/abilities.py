"""Abilities that a mechanism may have: noise in shares, a clip that adapts, noise by schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from fedchain.arrays import Matrix, Wholes

if TYPE_CHECKING:
    from fedchain.privacy.mechanisms.mechanism import Mechanism


class GroupNoise(Protocol):
    """Noise in whole numbers: a sum of shares, one from each member of a group."""

    @property
    def shares(self) -> int:
        """Number of members whose shares add up to the noise that is accounted for, 1 or more."""

    @property
    def step(self) -> float:
        """Length of one step of the grid, in units of the sum of gradients."""

    def in_steps(self, gradients: Matrix, keys: Sequence[bytes], records: Sequence[int]) -> Wholes:
        """Return the whole numbers that members of a group add up, shape (n, d).

        A row is the member's gradient times the member's number of units, in steps, plus a share
        of noise. One unit moves the row by at most clip / step. ``keys`` are as in
        ``Mechanism.release``; ``records`` are the members' public numbers of records.

        Raises:
            ValueError: at this clip, a gradient on the grid can exceed the exact range of float64.
        """


class ClipFollower(Protocol):
    """Adapts a holder's clip from one release to the next; epsilon includes the cost of this."""

    def with_clip(self, clip: float) -> Mechanism:
        """Return the mechanism with this clip, for one release."""

    def next_clip(self, key: bytes, clip: float, within: int, drawn: int, records: int) -> float:
        """Return the clip of a holder's next release.

        Of the ``drawn`` records that took part, ``within`` have a gradient norm of at most the
        clip. ``key`` has 32 bytes for this count only, which only the holder knows. ``records`` is
        the holder's public number of records.
        """


class NoiseSchedule(Protocol):
    """Chooses the noise of each release by what its holder has spent, from a list of values."""

    @property
    def noises(self) -> tuple[float, ...]:
        """The noise multipliers that a release may have; a chain's rules list them."""

    @property
    def costs(self) -> tuple[float, ...]:
        """What a release with each of them spends, in a unit of the mechanism's own."""

    def with_noise(self, step: int) -> Mechanism:
        """Return the mechanism with the noise of this index, for one release."""

    def step_for(self, spent: float, rounds: int) -> int | None:
        """Return the index of the noise of a holder's next release; None: it must stay silent.

        ``spent`` is the cost of the holder's releases so far, and ``rounds`` is the number of
        earlier rounds in which it made any. Whatever a holder is asked, its total must stay within
        ``Mechanism.epsilon_after`` of its number of releases.
        """
