"""Attackers: the entries of a scenario's ``attacks``, and the draw of the attacking holders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from fedchain.randomness import stream
from fedchain.registry import FAMILIES, Part, Section

AtLeastOne = Annotated[int, Field(ge=1)]
WHO = ("holders", "share", "count")
"""Keys that select the attacking holders; an attack of holders has exactly one of them."""


class HolderAttack(Section):
    """Holders that attack together as one adversary, and the rounds of the attack."""

    part: Annotated[Part, FAMILIES["attack"]]
    """What the attackers send instead of their releases. This YAML block contains the kind of
    attack and its parameters."""
    holders: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    """Ids of the attacking holders, from 0. null: share or count says how many attack."""
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of all holders that attack; their number is rounded, at least 1 unless the share is 0.
    The seed draws them from holders in no other entry; a larger share includes the holders of a
    smaller one."""
    count: Annotated[int, Field(ge=0)] | None = None
    """Number of holders that attack, 0 for none; they are drawn in the same way as for share."""
    knowledge: Literal["own", "heard", "omniscient"] = "own"
    """What the adversary sees besides its holders' own releases. own: nothing; heard: the honest
    messages sent for the same block before the first attacker sends; omniscient: all honest
    messages of the round, even those never sent, which is more than any attacker can know."""
    names: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of identities under which each attacker sends, including its own (Sybil attack)."""
    from_round: AtLeastOne = 1
    """First round of the attack."""
    to_round: AtLeastOne | None = None
    """Last round of the attack; null: to the end."""

    def active(self, round_number: int) -> bool:
        """Return whether the attack is active in this round."""
        begun = self.from_round <= round_number
        return begun and (self.to_round is None or round_number <= self.to_round)

    def number_of(self, holders: int) -> int:
        """Return the number of attackers among ``holders`` holders.

        >>> HolderAttack(part=Part("sign_flip", {}), share=0.25).number_of(10)
        3
        """
        if self.share is not None:
            return max(int(self.share > 0), int(self.share * holders + 0.5))
        return self.count or len(self.holders or ())


class ComputeAttack(Section):
    """Compute nodes that misbehave, and the rounds in which they do so."""

    part: Annotated[Part, FAMILIES["misconduct"]]
    """How these nodes break the protocol. This YAML block contains the kind and its parameters."""
    nodes: Annotated[tuple[int, ...], Field(min_length=1)]
    """Ids of the misbehaving compute nodes, from 0."""
    from_round: AtLeastOne = 1
    """First round of the misconduct; a node's round is the height of the block that it works on."""
    to_round: AtLeastOne | None = None
    """Last round of the misconduct; then nodes publish withheld blocks. null: to the end."""

    def active(self, round_number: int) -> bool:
        """Return whether the misconduct is active in this round."""
        begun = self.from_round <= round_number
        return begun and (self.to_round is None or round_number <= self.to_round)


Misbehaving = HolderAttack | ComputeAttack


def attackers_of(
    attacks: Mapping[int, Misbehaving], holders: int, seed: int
) -> dict[int, tuple[int, ...]]:
    """Return the ids of the attacking holders by the attack's index in ``attacks``.

    Listed holders are taken first; the seed draws those of a share or count from the rest. If too
    few are left, an attack gets fewer attackers.

    >>> three = HolderAttack(part=Part("sign_flip", {}), count=3)
    >>> attackers_of({0: three, 2: three}, 6, seed=0)
    {0: (3, 1, 2), 2: (0, 4, 5)}
    """
    by_holders = {index: a for index, a in attacks.items() if isinstance(a, HolderAttack)}
    found = {index: attack.holders or () for index, attack in by_holders.items()}
    drawn = [index for index, attack in by_holders.items() if attack.holders is None]
    if drawn:
        listed = {holder for holders_ in found.values() for holder in holders_}
        order = stream(seed, "attackers").permutation(holders).tolist()
        free = [holder for holder in order if holder not in listed]
        for index in drawn:
            number = by_holders[index].number_of(holders)
            found[index], free = tuple(free[:number]), free[number:]
    return found
