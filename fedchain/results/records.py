"""Records of a run: of rounds, messages, refusals, evidence and changes of a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One round as the first honest compute node saw it; a reorganisation writes it again."""

    round: int
    """Round number t, from 1."""
    height: int
    """Height of the block that ended the round."""
    block: str
    """Hash of that block, hexadecimal."""
    miner: int
    """Number of the compute node that made it."""
    time_s: float
    """Simulated seconds since genesis."""
    messages: int
    """Messages in the block."""
    used: int
    """Messages that the aggregation rule used."""
    byzantine: int
    """Messages in the block that a Byzantine holder sent."""
    byzantine_used: int
    """Byzantine messages that the rule used."""
    epsilon: float | None
    """Tight total epsilon of the holder with the most releases so far; None without a guarantee."""
    releases: int
    """Releases of that holder so far."""
    stale_blocks: int
    """Blocks off the observer's main chain so far."""
    reorganisations: int
    """Reorganisations of the observer's chain so far."""
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
    """The data holder, or the group where holders form groups."""
    id: str
    """Message id, hexadecimal."""
    norm: float
    """Norm s_k of the noisy gradient."""
    cosine: float | None
    """Cosine with the sum direction; None if no block carries the message."""
    used: bool
    """Whether the aggregation rule used it."""
    reason: str
    """Why it was not used: ``late``, the rule's reason, or empty."""
    epsilon: float | None
    """The holder's tight total epsilon after this release; None without a guarantee."""
    attack: str
    """The attack that made the message, or empty."""
    late: bool
    """Whether no block of the main chain carries it."""
    members: int
    """Number of holders whose gradients are in the message: 1, or a group's members not lost."""


@dataclass(frozen=True, kw_only=True)
class RefusalRecord:
    """A block or message that an honest compute node did not accept, and why."""

    round: int
    """Height that the block claims, or round of the message."""
    node: int
    """Number of the compute node that refused it."""
    time_s: float
    """Simulated seconds since genesis."""
    what: str
    """``block`` or ``message``."""
    id: str
    """Hash of the block or id of the message, hexadecimal."""
    maker: int | None
    """Number of the compute node that made the block; None for a message or an unknown maker."""
    reason: str
    """The rule that it broke."""


@dataclass(frozen=True, kw_only=True)
class EvidenceRecord:
    """Evidence against a compute node: two of its blocks on one parent, seen by an honest node."""

    round: int
    """Height of both blocks."""
    node: int
    """Number of the compute node that holds the evidence."""
    time_s: float
    """Simulated seconds since genesis when the node had both blocks."""
    maker: int | None
    """Number of the compute node that made both; None for an unknown maker."""
    first: str
    """Hash of the block that the node accepted first, hexadecimal."""
    second: str
    """Hash of the other block, hexadecimal."""


@dataclass(frozen=True)
class HeadRecord:
    """A new head of a compute node, in a run whose nodes can be cut off."""

    round: int
    """Height of the head."""
    node: int
    """Number of the compute node."""
    time_s: float
    """Simulated seconds since genesis."""
    block: str
    """Hash of the head, hexadecimal."""


Record = RoundRecord | MessageRecord | RefusalRecord | EvidenceRecord | HeadRecord
"""The content of one event."""
