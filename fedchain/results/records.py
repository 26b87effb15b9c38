"""Records of a run: of rounds, messages, refusals, evidence and changes of a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One round as the first honest compute node saw it.

    If a reorganisation of that node's chain replaces the round's block, the round is written again.
    """

    round: int
    """Round number t, from 1."""
    height: int
    """Height of the block that ended the round."""
    block: str
    """Hash of that block, hexadecimal."""
    miner: int
    """Index of the compute node that made the block."""
    time_s: float
    """Simulated seconds since genesis."""
    messages: int
    """Number of messages in the block."""
    used: int
    """Number of those messages that the aggregation rule used."""
    byzantine: int
    """Number of messages in the block that a Byzantine holder sent."""
    byzantine_used: int
    """Number of those Byzantine messages that the rule used."""
    epsilon: float | None
    """Tight total epsilon of the holder with the most releases so far; None without a guarantee."""
    releases: int
    """Number of releases so far of the holder with the most releases."""
    stale_blocks: int
    """Number of blocks so far that are not on the node's main chain."""
    reorganisations: int
    """Number of reorganisations of the node's chain so far."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Metrics that the simulator measured on held-out data, outside the guarantee; may be empty."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time by stage since the previous record, seconds."""


@dataclass(frozen=True, kw_only=True)
class MessageRecord:
    """What happened to one message; only the simulator knows its holder."""

    round: int
    """Round for which the message was made."""
    block: str
    """Hash of the block that carries it, or of its parent if none does."""
    holder: int
    """Index of the data holder, or of the group if holders form groups."""
    id: str
    """Message id, hexadecimal."""
    norm: float
    """Norm of the noisy gradient."""
    cosine: float | None
    """Cosine between the message's direction and the sum of all directions in the block; None if no
    block carries the message."""
    used: bool
    """Whether the aggregation rule used it."""
    reason: str
    """Why the message was not used: ``late`` or the rule's reason; empty if it was used."""
    epsilon: float | None
    """The holder's tight total epsilon after this release; None without a guarantee."""
    attack: str
    """Name of the attack that made the message; empty if none did."""
    late: bool
    """Whether no block of the main chain carries it."""
    members: int
    """Number of holders whose gradients are in the message: 1, or the members of a group that were
    not lost."""


@dataclass(frozen=True, kw_only=True)
class RefusalRecord:
    """A block or message that an honest compute node did not accept, and why."""

    round: int
    """Height that the refused block claims, or round of the refused message."""
    node: int
    """Index of the compute node that refused it."""
    time_s: float
    """Simulated seconds since genesis."""
    what: str
    """``block`` or ``message``."""
    id: str
    """Hash of the block or id of the message, hexadecimal."""
    maker: int | None
    """Index of the compute node that made the block; None for a message or an unknown maker."""
    reason: str
    """The rule that the block or message broke."""


@dataclass(frozen=True, kw_only=True)
class EvidenceRecord:
    """Evidence against a compute node: two of its blocks on one parent, seen by an honest node."""

    round: int
    """Height of both blocks."""
    node: int
    """Index of the compute node that holds the evidence."""
    time_s: float
    """Simulated seconds since genesis when the node had both blocks."""
    maker: int | None
    """Index of the compute node that made both blocks; None for an unknown maker."""
    first: str
    """Hash of the block that the node accepted first, hexadecimal."""
    second: str
    """Hash of the other block, hexadecimal."""
    first_signed: str
    """Header, public key and signature of the first block, 720 hexadecimal digits."""
    second_signed: str
    """The same of the other block; with both, everybody can check the evidence."""


@dataclass(frozen=True)
class HeadRecord:
    """A compute node's new head: the last block of its main chain.

    Heads are recorded only in runs whose nodes can be cut off from the network.
    """

    round: int
    """Height of the head."""
    node: int
    """Index of the compute node."""
    time_s: float
    """Simulated seconds since genesis."""
    block: str
    """Hash of the head, hexadecimal."""


Record = RoundRecord | MessageRecord | RefusalRecord | EvidenceRecord | HeadRecord
"""The content of one event."""
