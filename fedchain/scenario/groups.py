"""The section of groups: data holders that speak together, and what is assumed of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from fedchain.errors import Problem
from fedchain.registry import FAMILIES, Section, simulator_values

if TYPE_CHECKING:
    from fedchain.scenario.sections import Attack, Misconduct, Nodes

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


def _makes_shares(mechanism: str) -> bool:
    """Say whether the simulator can ask this mechanism for noise in shares."""
    return "shares" in simulator_values(FAMILIES["mechanism"].family().find(mechanism))


def group_problems(
    values: Mapping[str, Any], attacks: Mapping[int, Attack | Misconduct]
) -> Iterator[Problem]:
    """See that holders can form the groups, and that noise is left in every sum.

    Args:
        values: the sections of a scenario that are right by themselves.
        attacks: the same, by their place.
    """
    nodes: Nodes | None = values.get("nodes")
    groups = nodes.groups if nodes is not None else None
    if nodes is None or groups is None:
        return
    where = ("nodes", "groups")
    if nodes.holders % groups.size:
        sizes = [n for n in range(2, min(nodes.holders, MAX_MEMBERS) + 1) if nodes.holders % n == 0]
        words = f"must divide the number of holders ({nodes.holders})"
        allowed = f"{', '.join(map(str, sizes))} would" if sizes else "no size does"
        yield Problem((*where, "size"), f"{words}, got {groups.size}; {allowed}")
    if groups.counted_on < 1:
        words = f"{groups.honest_members} of {groups.size} members, {groups.dropouts} of whom may"
        least = (groups.dropouts + 1) / groups.size
        text = f"{words} be lost, leave no noise in a sum; at least {least:.4g} is allowed"
        yield Problem((*where, "honest"), text)
    privacy = values.get("privacy")
    if privacy is not None and not _makes_shares(privacy.kind):
        able = " or ".join(filter(_makes_shares, FAMILIES["mechanism"].family().names()))
        words = f"must be {able} where holders form groups (whole numbers, whose sums have the"
        text = f"{words} same law; epsilon .inf for none), got {privacy.kind}"
        yield Problem(("privacy", "kind"), text)
    for index, attack in attacks.items():
        names = getattr(attack, "names", 1)
        if names > 1:
            words = "must be 1 where holders form groups: a member speaks through its group"
            yield Problem(("attacks", index, "names"), f"{words}, got {names}")
