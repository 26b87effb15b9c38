"""Abilities that a mechanism may have: noise in shares, an adaptive clip, a schedule of noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from fedchain.arrays import Matrix, Wholes

if TYPE_CHECKING:
    from fedchain.privacy.mechanisms.mechanism import Mechanism


class GroupNoise(Protocol):
    """Noise of a group: a sum of whole numbers, with one share from each member."""

    @property
    def shares(self) -> int:
        """Number of members whose shares add up to the noise that epsilon assumes, 1 or more."""

    @property
    def step(self) -> float:
        """Distance between neighbouring points of the grid, in the unit of a sum of gradients."""

    def in_steps(self, gradients: Matrix, keys: Sequence[bytes], records: Sequence[int]) -> Wholes:
        """Return each member's sum of gradients plus its share of noise, in steps of the grid.

        Args:
            gradients: clipped mean gradient of each member, shape (members, dimension).
            keys: the keys of the noise, as in ``Mechanism.release``.
            records: public number of records of each member.

        Returns:
            Whole numbers, shape (members, dimension). One protected unit moves a row by at most
            clip / step.

        Raises:
            ValueError: at this clip, a gradient can have too many steps.
        """


class ClipFollower(Protocol):
    """Adapts a holder's clip after each release. Epsilon includes the privacy cost."""

    def with_clip(self, clip: float) -> Mechanism:
        """Return the mechanism with this clip, for one release."""

    def next_clip(self, key: bytes, clip: float, within: int, drawn: int, records: int) -> float:
        """Return the clip of a holder's next release.

        Args:
            key: 32 bytes that only the holder knows, used only for the noise added to ``within``.
            clip: the clip of this release.
            within: number of records in this release whose gradient norm is at most the clip.
            drawn: number of records in this release.
            records: the holder's public number of records.
        """


class NoiseSchedule(Protocol):
    """Chooses the noise of each release from a list, depending on what the holder has spent."""

    @property
    def noises(self) -> tuple[float, ...]:
        """The noise multipliers to choose from. The rules of a chain list them."""

    @property
    def costs(self) -> tuple[float, ...]:
        """Cost of a release with each noise multiplier, in a unit that the mechanism chooses."""

    def with_noise(self, step: int) -> Mechanism:
        """Return the mechanism with the noise multiplier of index ``step``, for one release."""

    def step_for(self, spent: float, rounds: int) -> int | None:
        """Return the index of the noise for the next release; None if the holder must stay silent.

        The total epsilon of every holder must stay within ``Mechanism.epsilon_after``.

        Args:
            spent: cost of the holder's releases so far.
            rounds: number of earlier rounds in which the holder made a release.
        """
