"""Checks of ``nodes.groups`` against the other sections of a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedchain.errors import Problem
from fedchain.registry import FAMILIES, simulator_values
from fedchain.scenario.groups import MAX_MEMBERS
from fedchain.scenario.sections import Attack, ComputeAttack, Nodes


def _makes_shares(mechanism: str) -> bool:
    """Return whether the mechanism can make its noise in shares."""
    return "shares" in simulator_values(FAMILIES["mechanism"].family().find(mechanism))


def group_problems(
    values: Mapping[str, Any], attacks: Mapping[int, Attack | ComputeAttack]
) -> Iterator[Problem]:
    """Yield a problem if holders cannot form the groups, or if a sum could be without noise.

    Args:
        values: the sections of a scenario that passed their own checks.
        attacks: the attacks that passed theirs, by their index.
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
