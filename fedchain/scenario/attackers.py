"""Attackers: the entries of a scenario's ``attacks``, and the draw of the holders that attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from fedchain.randomness import stream
from fedchain.registry import FAMILIES, Part, Section

AtLeastOne = Annotated[int, Field(ge=1)]
WHO = ("holders", "share", "count")
"""Keys that say which holders attack; an attack of holders has exactly one of them."""


class HolderAttack(Section):
    """Holders that attack together, as one adversary, and the rounds in which they do so."""

    part: Annotated[Part, FAMILIES["attack"]]
    """What the attackers send instead of their releases; in YAML, its keys stand in this block."""
    holders: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    """Ids of the attacking holders; ids count from 0. null: share or count says how many attack."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of all holders that attack, rounded, at least one holder. The seed draws them, and a
    larger share has those of a smaller one. Holders of other entries are not drawn."""
    count: AtLeastOne | None = None
    """Number of holders that attack; they are drawn as with share."""
    knowledge: Literal["own", "heard", "omniscient"] = "own"
    """What the adversary sees besides its holders' own releases when the first of them is due. own:
    nothing; heard: the honest messages that have been sent for the same block; omniscient: all
    honest messages of the round, also those that are never sent: an upper bound."""
    names: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of identities under which each attacker sends: its own, and its Sybil identities."""
    from_round: AtLeastOne = 1
    """First round of the attack."""
    to_round: AtLeastOne | None = None
    """Last round of the attack; null: to the end."""

    def active(self, round_number: int) -> bool:
        """Return whether the attack is active in this round."""
        begun = self.from_round <= round_number
        return begun and (self.to_round is None or round_number <= self.to_round)

    def number_of(self, holders: int) -> int:
        """Return how many of all holders attack.

        >>> HolderAttack(part=Part("sign_flip", {}), share=0.25).number_of(10)
        3
        """
        if self.share is not None:
            return max(1, int(self.share * holders + 0.5))
        return self.count or len(self.holders or ())


class ComputeAttack(Section):
    """Compute nodes that misbehave, and the rounds in which they do so."""

    part: Annotated[Part, FAMILIES["misconduct"]]
    """How these nodes break the protocol; in YAML, the part's keys stand in this block."""
    nodes: Annotated[tuple[int, ...], Field(min_length=1)]
    """Ids of the misbehaving compute nodes; ids count from 0."""
    from_round: AtLeastOne = 1
    """First round of the misconduct; a node's round is the height of the block it works on."""
    to_round: AtLeastOne | None = None
    """Last round of the misconduct, after which nodes publish withheld blocks; null: to the end."""

    def active(self, round_number: int) -> bool:
        """Return whether the misconduct is active in this round."""
        begun = self.from_round <= round_number
        return begun and (self.to_round is None or round_number <= self.to_round)


Misbehaving = HolderAttack | ComputeAttack


def attackers_of(
    attacks: Mapping[int, Misbehaving], holders: int, seed: int
) -> dict[int, tuple[int, ...]]:
    """Return the attacking holders of every attack of holders, by its index in ``attacks``.

    Those of a share or a count are the first in an order that the seed draws, without the holders
    of all lists and of earlier draws. They are fewer than asked for if too few holders are left.

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
