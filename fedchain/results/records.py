"""Records of a run: rounds, messages, refusals, evidence and new heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One round as the honest compute node with the lowest index saw it.

    If a reorganisation replaces the round's block, the round is written again.
    """

    round: int
    """Number of the round, from 1."""
    height: int
    """Height of the block that ended the round."""
    block: str
    """Hash of the block that ended the round, hexadecimal."""
    miner: int
    """Index of the compute node that made the block."""
    time_s: float
    """Simulated seconds since genesis."""
    messages: int
    """Number of messages in the block."""
    used: int
    """Number of messages in the block that the aggregation rule used."""
    byzantine: int
    """Number of messages in the block from Byzantine holders."""
    byzantine_used: int
    """Number of messages from Byzantine holders that the aggregation rule used."""
    byzantine_share: float = 0.0
    """Share of the round's global gradient that came from Byzantine holders, from 0 to 1."""
    epsilon: float | None
    """Tight total epsilon so far of the holder with the most releases; None without a guarantee."""
    releases: int
    """Number of releases so far of the holder with the most releases."""
    stale_blocks: int
    """Number of blocks so far that are not on the node's main chain."""
    reorganisations: int
    """Number of reorganisations of the node's chain so far."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Metrics on held-out data, by name. The privacy guarantee does not cover them."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time by stage since the previous record, seconds."""


@dataclass(frozen=True, kw_only=True)
class MessageRecord:
    """What happened to one message."""

    round: int
    """Round for which the message was made."""
    block: str
    """Hexadecimal hash of the block that has the message; if none has it, of its parent block."""
    holder: int
    """Index of the data holder, or of the group if holders form groups; the public root has the
    index after the last."""
    id: str
    """Message id, hexadecimal."""
    norm: float
    """Norm of the noisy gradient."""
    cosine: float | None
    """Cosine between the message's direction and the sum of all directions in the block; None if
    the message is in no block."""
    used: bool
    """Whether the aggregation rule used the message."""
    share: float = 0.0
    """Share of the message in the global gradient of the block; 0 if the message was not used."""
    score: float | None = None
    """What the aggregation rule judged the message by, such as its distance to a centre; the
    manifest says what it is (``judged_by``). None if the rule does not say, or if the message is in
    no block."""
    reason: str
    """Why the message was not used: ``late``, or the aggregation rule's reason; else empty."""
    epsilon: float | None
    """The holder's tight total epsilon after this release; None without a guarantee."""
    attack: str
    """Name of the attack that made the message; empty without an attack."""
    late: bool
    """Whether no block of the main chain has the message."""
    members: int
    """Number of holders whose gradients are in the message: 1 without groups; 0 for the public
    root."""


@dataclass(frozen=True, kw_only=True)
class RefusalRecord:
    """A block or message that an honest compute node refused."""

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
    """Evidence against a compute node: two blocks that it made on the same parent block."""

    round: int
    """Height of both blocks."""
    node: int
    """Index of the honest compute node that received both blocks."""
    time_s: float
    """Simulated seconds from genesis until the honest node had both blocks."""
    maker: int | None
    """Index of the compute node that made both blocks; None for an unknown maker."""
    first: str
    """Hash of the block that the honest node accepted first, hexadecimal."""
    second: str
    """Hash of the other block, hexadecimal."""
    first_signed: str
    """Header, public key and signature of the first block, 720 hexadecimal digits."""
    second_signed: str
    """Header, public key and signature of the other block, 720 hexadecimal digits."""


@dataclass(frozen=True)
class HeadRecord:
    """A compute node's new head: the last block of its main chain.

    Heads are recorded only if the scenario can cut nodes off from the network.
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
