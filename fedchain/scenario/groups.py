"""Groups: the section ``nodes.groups`` of a scenario."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from fedchain.registry import Section, cites

MAX_MEMBERS = 256
"""Maximum number of members of a group."""


@cites("bonawitz2017")
class Groups(Section):
    """Groups of data holders: each group sends one sum, and the chain has only these sums."""

    size: Annotated[int, Field(ge=2, le=MAX_MEMBERS)]
    """Number of consecutive holders in a group; it must divide the number of all holders."""
    honest: Annotated[float, Field(gt=0, le=1)]
    """Share of each group's members that add their noise and reveal nothing (honest members); their
    number is rounded down. Only their noise counts for the claimed privacy."""
    dropout: Annotated[float, Field(ge=0, le=0.34)] = 0.0
    """Share of the members that may drop out; their number is rounded down. If more drop out, no
    sum is revealed. The claimed privacy assumes that all who drop out are honest."""
    away: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Simulated probability that a member drops out during an attempt, at a random step."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """Maximum number of attempts at one sum; if all fail, the group sends nothing in the round."""
    retry_s: Annotated[float, Field(gt=0, le=1e6)] = 2.0
    """Simulated seconds from one attempt to the next."""

    @property
    def honest_members(self) -> int:
        """Number of members of a group that are assumed honest."""
        return _part_of(self.size, self.honest)

    @property
    def dropouts(self) -> int:
        """Number of members that may drop out."""
        return _part_of(self.size, self.dropout)

    @property
    def threshold(self) -> int:
        """Number of members that must take part in every step."""
        return self.size - self.dropouts

    @property
    def counted_on(self) -> int:
        """Smallest number of honest members in a revealed sum."""
        return self.honest_members - self.dropouts

    def members_of(self, group: int) -> range:
        """Return the ids of the holders in a group."""
        return range(group * self.size, (group + 1) * self.size)


def _part_of(size: int, share: float) -> int:
    return math.floor(size * share + 1e-9)
