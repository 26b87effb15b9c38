"""Nodes: the section ``nodes`` of a scenario."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from fedchain.registry import Section, cites
from fedchain.scenario.groups import Groups

MAX_HOLDERS = 10_000_000
"""Maximum number of registered holders."""
MAX_ASKED = 65_536
"""Maximum number of holders asked in a round, so that a float64 sum of directions (20-bit integers)
is exact."""
MAX_MINERS = 1000
"""Maximum number of compute nodes."""


@cites("karimireddy2021")
class Momentum(Section):
    """Running mean m_t of a participant's releases g_t: m_t = m_(t-1) + gain_t (g_t - m_(t-1)).

    >>> Momentum(kind="ema", beta=0.9).gain(1), Momentum(kind="mean").gain(4)
    (1.0, 0.25)
    """

    kind: Literal["ema", "mean"]
    """ema: an exponential average, with gain max(1/t, 1 - beta); mean: the mean of all releases,
    with gain 1/t."""
    beta: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the last mean that an exponential average keeps; required for ema, not allowed for
    mean."""

    def gain(self, number: int) -> float:
        """Return the weight of release ``number``, from 1, in the mean of all releases so far."""
        least = 0.0 if self.beta is None else 1.0 - self.beta
        return max(1.0 / number, least)

    def plain(self) -> dict[str, Any]:
        """Return the section as plain values; beta is left out if not set."""
        return {"kind": self.kind} if self.beta is None else {"kind": self.kind, "beta": self.beta}


class Miner(Section):
    """One compute node."""

    hash_share: Annotated[float, Field(gt=0, le=1e9)]
    """Relative hash power of this node; the values of all nodes need not sum to 1."""


class Nodes(Section):
    """Data holders and compute nodes."""

    holders: Annotated[int, Field(ge=0, le=MAX_HOLDERS)] = 0
    """Number of data holders; 0 if nothing is learned."""
    cohort: Annotated[int, Field(ge=1, le=MAX_ASKED)] | None = None
    """Number of holders (or groups) drawn and asked in each round; null: all."""
    groups: Groups | None = None
    """Groups whose members add up their gradients by secure aggregation and send one message; null:
    each holder sends its own message."""
    momentum: Momentum | None = None
    """Each holder (or group) sends this running mean of its releases; null: it sends each release
    unchanged."""
    compute: (
        Annotated[int, Field(ge=1, le=MAX_MINERS)]
        | Annotated[tuple[Miner, ...], Field(min_length=1, max_length=MAX_MINERS)]
    ) = 3
    """Number of compute nodes, which make the blocks; or a list with the hash_share of each."""
    identity: Literal["registered", "open"] = "registered"
    """Who may send messages. registered: the identities in the genesis block; open: anybody."""
    on_exhausted: Literal["leave", "stop"] = "leave"
    """What happens when a holder has spent its privacy budget. leave: the holder sends nothing
    more; stop: the run stops."""

    @property
    def participant(self) -> str:
        """Word for a participant: holder or group."""
        return "holder" if self.groups is None else "group"

    @property
    def participants(self) -> int:
        """Number of participants: of groups if holders form groups, else of holders."""
        return self.holders if self.groups is None else self.holders // self.groups.size

    @property
    def asked(self) -> int:
        """Number of participants asked in a round."""
        return self.participants if self.cohort is None else self.cohort

    def members_of(self, participant: int) -> range:
        """Return the ids of a participant's holders: the holder itself, or the group's members."""
        alone = range(participant, participant + 1)
        return alone if self.groups is None else self.groups.members_of(participant)

    @property
    def miners(self) -> int:
        """Number of compute nodes."""
        return self.compute if isinstance(self.compute, int) else len(self.compute)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each compute node in the total hash power; the shares sum to 1."""
        if isinstance(self.compute, int):
            return (1.0 / self.compute,) * self.compute
        whole = math.fsum(miner.hash_share for miner in self.compute)
        return tuple(miner.hash_share / whole for miner in self.compute)

    @property
    def others(self) -> int:
        """Number of nodes in the network other than a given node."""
        return self.asked + self.miners - 1
