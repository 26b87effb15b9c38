"""Mempool: keeps the messages that wait for the next block, grouped by parent block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fedchain.errors import InvalidMessage
from fedchain.ledger.chain.message import Message, decode_bare, encode_bare
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.verdict_cache import VerdictCache

MOST_KNOWN = 64
"""Most known parents for which messages are kept; the parent with the least height is dropped
first."""
MOST_UNKNOWN = 16
"""Most unknown parents for which messages are kept; the parent with the fewest messages is dropped
first."""

MOST_OPEN_BYTES = 2**28
"""Most bytes of directions that are kept for one parent if identities are open."""

_Place = tuple[bytes, int]
"""Hash of the parent, and the round."""


@dataclass(frozen=True)
class Equivocation:
    """Evidence that one identity has sent two different messages for one parent."""

    first: Message
    """The message that came first, without its direction."""
    second: Message
    """The message that came second, without its direction."""


@dataclass
class _Pool:
    messages: dict[bytes, Message] = field(default_factory=dict)
    """Messages by public key."""
    payloads: dict[bytes, bytes] = field(default_factory=dict)
    """Public keys by payload; messages with zero gradients are left out."""
    evidence: dict[bytes, Equivocation] = field(default_factory=dict)
    """Equivocations by public key."""


class Mempool:
    """The messages that a node has received and checked, up to a limit for each parent."""

    def __init__(
        self,
        rules: Rules,
        chain_id: bytes,
        height_of: Callable[[bytes], int | None],
        verdict_cache: VerdictCache,
    ) -> None:
        """Start empty.

        Args:
            rules: rules of the chain.
            chain_id: hash of the genesis block, 32 bytes.
            height_of: function that takes a block's hash and returns the block's height, or None
                if the block is unknown.
            verdict_cache: cache shared by all nodes of a simulation.
        """
        self._rules = rules
        self._limit = _limit(rules)
        self._chain_id = chain_id
        self._height_of = height_of
        self._verdict_cache = verdict_cache
        self._pools: dict[_Place, _Pool] = {}
        self._lowest = 0

    def __len__(self) -> int:
        return sum(len(pool.messages) for pool in self._pools.values())

    def add(self, message: Message) -> bool:
        """Check a message and keep it for the next block.

        Returns:
            True if the message is new, False if the mempool had the message before.

        Raises:
            InvalidMessage: the message breaks a rule, has too low a round or repeats the payload of
                another message; the limit for this parent is reached; or the identity has sent two
                messages for this parent, which are both dropped.
        """
        # While the parent is unknown, the round that the message names is taken as right;
        # ``messages`` later returns only messages of the right round.
        height = self._height_of(message.parent)
        expected = message.round if height is None else height + 1
        self._verdict_cache.check_message(
            message, self._rules, self._chain_id, message.parent, expected
        )
        if message.round < self._lowest:
            raise InvalidMessage(
                f"{_label(message)}: round: is {message.round}; must be at least {self._lowest}"
            )
        place = message.parent, message.round
        if place not in self._pools:
            self._make_room()
        return self._keep(message, self._pools.setdefault(place, _Pool()))

    def messages(self, parent: bytes) -> tuple[Message, ...]:
        """Return the messages for this parent in ascending order of their ids."""
        pool = self._known_pool(parent)
        return tuple(sorted(pool.messages.values(), key=lambda m: m.id)) if pool else ()

    def count(self, parent: bytes) -> int:
        """Return the number of messages for this parent."""
        pool = self._known_pool(parent)
        return len(pool.messages) if pool else 0

    def evidence(self, parent: bytes) -> tuple[Equivocation, ...]:
        """Return the equivocations for this parent, in order of arrival."""
        pool = self._known_pool(parent)
        return tuple(pool.evidence.values()) if pool else ()

    def forget_below(self, height: int) -> None:
        """Drop the messages of all rounds below ``height``; refuse later messages of these rounds.

        The height may be lower than in an earlier call.
        """
        # A branch with more work may have fewer blocks.
        self._lowest = height
        for place in [place for place in self._pools if place[1] < height]:
            del self._pools[place]

    def _known_pool(self, parent: bytes) -> _Pool | None:
        height = self._height_of(parent) if self._pools else None
        return None if height is None else self._pools.get((parent, height + 1))

    def _keep(self, message: Message, pool: _Pool) -> bool:
        key, payload = message.public_key, message.payload
        if key in pool.evidence:
            raise InvalidMessage(f"{_label(message)}: identity: has sent two messages already")
        first = pool.messages.get(key)
        if first is not None:
            if first.id == message.id:
                return False
            del pool.messages[key]
            if pool.payloads.get(first.payload) == key:
                del pool.payloads[first.payload]
            pool.evidence[key] = Equivocation(_strip(first), _strip(message))
            raise InvalidMessage(
                f"{_label(message)}: identity: has sent {_label(first)} too; both are dropped"
            )
        # Anybody can compute the message of the public root beforehand, and send it first.
        is_root = not message.declaration.records
        if payload in pool.payloads and not is_root:
            other = _label(pool.messages[pool.payloads[payload]])
            raise InvalidMessage(f"{_label(message)}: direction: repeats the payload of {other}")
        if len(pool.messages) + len(pool.evidence) >= self._limit:
            raise InvalidMessage(
                f"{_label(message)}: parent: {self._limit} identities have spoken for it; no more "
                "are heard"
            )
        if is_root and any(not m.declaration.records for m in pool.messages.values()):
            raise InvalidMessage(f"{_label(message)}: records: is 0; one public root has spoken")
        pool.messages[key] = message
        if message.norm and not is_root:
            pool.payloads[payload] = key
        return True

    def _make_room(self) -> None:
        known = [place for place in self._pools if self._height_of(place[0]) is not None]
        unknown = [place for place in self._pools if self._height_of(place[0]) is None]
        if len(known) >= MOST_KNOWN:
            del self._pools[min(known, key=lambda place: place[1])]
        if len(unknown) >= MOST_UNKNOWN:
            # Messages for made-up parents must not displace the parent that most messages name.
            del self._pools[min(unknown, key=lambda place: len(self._pools[place].messages))]


def _limit(rules: Rules) -> int:
    """Return the number of identities that may send messages for one parent."""
    most = rules.limits.messages
    if rules.identity == "registered":
        return most
    fitting = MOST_OPEN_BYTES // (rules.dimension * np.dtype(rules.storage).itemsize)
    return max(rules.holders, min(most, fitting))


def _strip(message: Message) -> Message:
    return decode_bare(encode_bare(message))


def _label(message: Message) -> str:
    return f"message {message.id.hex()[:8]}"
