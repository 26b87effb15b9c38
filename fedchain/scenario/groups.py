"""Groups of data holders: the section ``nodes.groups`` of a scenario."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from fedchain.registry import Section

MAX_MEMBERS = 256
"""Most members of a group; each agrees on a mask with every other."""


class Groups(Section):
    """Data holders that speak together: the chain carries the sums of groups alone."""

    size: Annotated[int, Field(ge=2, le=MAX_MEMBERS)]
    """Members of a group, neighbouring numbers; it divides the number of holders."""
    honest: Annotated[float, Field(gt=0, le=1)]
    """Share of the members of every group that are assumed to add their noise and to keep what
    they see to themselves, rounded down: the noise is calibrated to them, never to all."""
    dropout: Annotated[float, Field(ge=0, le=0.34)] = 0.0
    """Share of the members that a sum can do without, rounded down; with fewer nothing is opened.
    The lost ones may be honest: the noise counts on the honest members less these."""
    away: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Chance of each member to be lost in an attempt, in one of its four steps; simulated."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """Attempts at one sum; after the last the group is silent in the round."""
    retry_s: Annotated[float, Field(gt=0, le=1e6)] = 2.0
    """Simulated seconds from one attempt to the next."""

    @property
    def honest_members(self) -> int:
        """Members of a group that are assumed to be honest."""
        return _part_of(self.size, self.honest)

    @property
    def dropouts(self) -> int:
        """Members that a sum can do without."""
        return _part_of(self.size, self.dropout)

    @property
    def threshold(self) -> int:
        """Members that must be there in every step."""
        return self.size - self.dropouts

    @property
    def counted_on(self) -> int:
        """Honest members in every sum that is opened: theirs is the noise that counts."""
        return self.honest_members - self.dropouts

    def members_of(self, group: int) -> range:
        """Return the numbers of the holders of a group."""
        return range(group * self.size, (group + 1) * self.size)


def _part_of(size: int, share: float) -> int:
    return math.floor(size * share + 1e-9)
