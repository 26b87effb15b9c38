"""Rules of a chain: everything that genesis fixes for all blocks above it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fedchain.errors import EncodingError
from fedchain.ledger.chain.block import VERSION, Block, Header, block_hash, messages_root
from fedchain.ledger.chain.codec import Storage
from fedchain.ledger.chain.encoding import (
    Reader,
    cached_field,
    decoded,
    fixed,
    real,
    text,
    unsigned,
)
from fedchain.ledger.chain.merkle import HASH
from fedchain.ledger.chain.message import Limits
from fedchain.ledger.chain.state import State, hash_memory, hash_weights
from fedchain.ledger.chain.work import WorkKind

ZERO = bytes(HASH)
"""The zero hash: parent, chain id and address of the genesis block."""
MOST_OPEN_MESSAGES = 65_536
"""Most messages of a block where identities are open: float64 adds up to this many directions
exactly."""

Dtype = Literal["float64", "float32"]
Identity = Literal["registered", "open"]
Layout = tuple[tuple[str, tuple[int, ...]], ...]

_TAG = b"fedchain:r"
_LONGEST_TEXT = 65_536
_MOST_PARAMETERS = 65_536


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules that every block of a chain must keep."""

    aggregation: str
    """The aggregation rule and its parameters, as canonical JSON."""
    update: str
    """The update and its parameters, for example the learning rate, as canonical JSON."""
    dimension: int
    """Number of weights d, and of entries of every direction."""
    layout: Layout
    """Name and shape of each of the model's parameters, in the order of the flat weights."""
    dtype: Dtype
    """Type of the weights."""
    holders: int
    """Number of participants asked in a round: holders or groups. With registered identities it
    is the most messages of a block."""
    identity: Identity
    """registered: one identity for each participant asked in a round, a leaf of the identity tree;
    open: anyone may send messages."""
    identity_root: bytes
    """Root of the tree over (round, P*), 32 bytes; zero where identities are open."""
    quorum: int
    """Fewest messages of a block; 0 on a chain without learning."""
    rounds: int
    """Greatest height that a block may have."""
    storage: Storage
    """The integer type that stores the entries of a direction."""
    max_norm: float
    """Largest norm s_k of a message."""
    work: WorkKind
    """hashcash: a block's hash is at most its target; sampled: its work was only simulated."""
    bits: int
    """Initial target in compact form; no later target is easier."""
    interval_ms: int
    """Wanted mean time between blocks, simulated milliseconds."""
    retarget_window: int
    """Blocks between two retargets; 0: the target stays."""
    max_ahead_ms: int
    """How far the time of a block may be ahead of a node's clock, milliseconds."""

    @cached_field
    def _hash(self) -> bytes:
        return hashlib.sha256(encode_rules(self)).digest()

    @cached_field
    def _limits(self) -> Limits:
        registered = self.identity == "registered"
        return Limits(self.dimension, self.holders if registered else MOST_OPEN_MESSAGES)


def limits_of(rules: Rules) -> Limits:
    """Return the bounds that decoders check under these rules."""
    return rules._limits


def rules_hash(rules: Rules) -> bytes:
    """Return the SHA-256 of the rules' canonical bytes, 32 bytes; every header has it."""
    return rules._hash


def genesis(rules: Rules, state: State) -> Block:
    """Return the genesis block, the first of a chain; its hash is the chain id.

    It commits to the rules and to the initial state. It has no messages and needs no work.

    Args:
        rules: the rules that all blocks above it must keep.
        state: the initial weights and the update's initial memory.
    """
    header = Header(
        version=VERSION,
        chain_id=ZERO,
        height=0,
        parent=ZERO,
        time_ms=0,
        bits=rules.bits,
        address=ZERO,
        messages_root=messages_root(()),
        weights_hash=hash_weights(state),
        memory_hash=hash_memory(state),
        rules_hash=rules_hash(rules),
        nonce=0,
    )
    return Block(header, ())


def chain_id_of(genesis_block: Block) -> bytes:
    """Return the chain id: the hash of the genesis block, 32 bytes."""
    return block_hash(genesis_block.header)


def encode_rules(rules: Rules) -> bytes:
    """Return the canonical bytes of the rules.

    Raises:
        EncodingError: a field has no encoding.
    """
    return b"".join(
        (
            _TAG,
            text(rules.aggregation),
            text(rules.update),
            unsigned(rules.dimension, 4),
            _encode_layout(rules.layout),
            text(rules.dtype),
            unsigned(rules.holders, 4),
            text(rules.identity),
            fixed(rules.identity_root, HASH),
            unsigned(rules.quorum, 4),
            unsigned(rules.rounds, 4),
            text(rules.storage),
            real(rules.max_norm),
            text(rules.work),
            unsigned(rules.bits, 4),
            unsigned(rules.interval_ms, 8),
            unsigned(rules.retarget_window, 4),
            unsigned(rules.max_ahead_ms, 8),
        )
    )


def decode_rules(data: bytes) -> Rules:
    """Decode rules.

    Raises:
        EncodingError: the bytes are not the encoding of any rules.
    """
    return decoded(data, _read_rules, encode_rules)


def _encode_layout(layout: Layout) -> bytes:
    written = [unsigned(len(layout), 4)]
    for name, shape in layout:
        written += [text(name), unsigned(len(shape), 1), *(unsigned(size, 4) for size in shape)]
    return b"".join(written)


def _read_layout(reader: Reader) -> Layout:
    count = reader.unsigned(4)
    if count > _MOST_PARAMETERS:
        raise EncodingError(f"layout: {count} parameters; at most {_MOST_PARAMETERS}")
    return tuple((reader.text(256), _read_shape(reader)) for _ in range(count))


def _read_shape(reader: Reader) -> tuple[int, ...]:
    return tuple(reader.unsigned(4) for _ in range(reader.unsigned(1)))


def _read_rules(reader: Reader) -> Rules:
    if (tag := reader.take(len(_TAG))) != _TAG:
        raise EncodingError(f"rules: start with {tag!r}; must start with {_TAG!r}")
    return Rules(
        aggregation=reader.text(_LONGEST_TEXT),
        update=reader.text(_LONGEST_TEXT),
        dimension=reader.unsigned(4),
        layout=_read_layout(reader),
        dtype=_choice(reader, Dtype),
        holders=reader.unsigned(4),
        identity=_choice(reader, Identity),
        identity_root=reader.take(HASH),
        quorum=reader.unsigned(4),
        rounds=reader.unsigned(4),
        storage=_choice(reader, Storage),
        max_norm=reader.real(),
        work=_choice(reader, WorkKind),
        bits=reader.unsigned(4),
        interval_ms=reader.unsigned(8),
        retarget_window=reader.unsigned(4),
        max_ahead_ms=reader.unsigned(8),
    )


def _choice(reader: Reader, choices: object) -> Any:
    value = reader.text(32)
    if value not in get_args(choices):
        raise EncodingError(f"rules: got {value!r}; one of {', '.join(get_args(choices))}")
    return value
