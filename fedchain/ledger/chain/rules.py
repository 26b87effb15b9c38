"""Rules of a chain: everything that genesis fixes for all blocks above it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from fedchain.errors import EncodingError
from fedchain.ledger.chain.block import BLOCK_VERSION, Block, Header, messages_root
from fedchain.ledger.chain.codec import Storage
from fedchain.ledger.chain.crypto import HASH
from fedchain.ledger.chain.encoding import (
    F64,
    U32,
    U64,
    Coder,
    Digest,
    Reader,
    RecordCoder,
    cached_field,
    text,
    text_coder,
    unsigned,
)
from fedchain.ledger.chain.message import Limits
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.work import WorkKind

ZERO = bytes(HASH)
"""The zero hash: parent, chain id and address of the genesis block."""
MOST_OPEN_MESSAGES = 65_536
"""Most messages of a block if identities are open. The sum of at most this many directions is
exact in float64."""

WeightType = Literal["float64", "float32"]
"""Type of the weights."""
Registration = Literal["registered", "open"]
"""Who may send messages."""
Parameters = tuple[tuple[str, tuple[int, ...]], ...]
"""Name and shape of each of the model's parameters, in order."""

_MOST_PARAMETERS = 65_536


def _write_layout(layout: Parameters) -> bytes:
    written = [unsigned(len(layout), 4)]
    for name, shape in layout:
        written += [text(name), unsigned(len(shape), 1), *(unsigned(size, 4) for size in shape)]
    return b"".join(written)


def _read_layout(reader: Reader) -> Parameters:
    count = reader.unsigned(4)
    if count > _MOST_PARAMETERS:
        raise EncodingError(f"layout: {count} parameters; at most {_MOST_PARAMETERS}")
    return tuple((reader.text(256), _read_shape(reader)) for _ in range(count))


def _read_shape(reader: Reader) -> tuple[int, ...]:
    return tuple(reader.unsigned(4) for _ in range(reader.unsigned(1)))


def _choice_coder(choices: object) -> Coder:
    """Return the coder of a text that must be one of the choices."""

    def read(reader: Reader) -> str:
        value = reader.text(32)
        if value not in get_args(choices):
            raise EncodingError(f"rules: got {value!r}; one of {', '.join(get_args(choices))}")
        return value

    return Coder(text, read)


_Json = Annotated[str, text_coder(65_536)]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules that every block of a chain must keep."""

    aggregation: _Json
    """The aggregation rule and its parameters, as canonical JSON."""
    update: _Json
    """The update and its parameters, for example the learning rate, as canonical JSON."""
    dimension: U32
    """Number d of weights, which is also the number of entries of every direction."""
    layout: Annotated[Parameters, Coder(_write_layout, _read_layout)]
    """Name and shape of each of the model's parameters, in the order of the flat weights."""
    dtype: Annotated[WeightType, _choice_coder(WeightType)]
    """Type of the weights."""
    holders: U32
    """Number of participants (holders or groups) asked in a round. If identities are registered, a
    block has at most this many messages."""
    identity: Annotated[Registration, _choice_coder(Registration)]
    """registered: each participant asked in a round has one identity, a leaf of the identity tree;
    open: anyone may send messages."""
    identity_root: Digest
    """Root of the identity tree, 32 bytes; zero if identities are open. Each leaf of the tree is a
    round and an identity P*."""
    quorum: U32
    """Fewest messages of a block; 0 on a chain without learning."""
    rounds: U32
    """Greatest height that a block may have."""
    storage: Annotated[Storage, _choice_coder(Storage)]
    """The integer type that stores the entries of a direction."""
    max_norm: F64
    """Largest allowed ``Message.norm``."""
    work: Annotated[WorkKind, _choice_coder(WorkKind)]
    """hashcash: a block's hash is at most its target; sampled: its work was only simulated."""
    bits: U32
    """Initial target in compact form; no later target is easier."""
    interval_ms: U64
    """Wanted mean time between blocks, simulated milliseconds."""
    retarget_window: U32
    """Number of blocks after which the target is adapted each time; 0: never."""
    max_ahead_ms: U64
    """How far the time of a block may be ahead of a node's clock, milliseconds."""

    @cached_field
    def hash(self) -> bytes:
        """SHA-256 of the rules' canonical bytes, 32 bytes; every header contains it."""
        return hashlib.sha256(encode_rules(self)).digest()

    @cached_field
    def limits(self) -> Limits:
        """The bounds that decoders check on a chain with these rules."""
        registered = self.identity == "registered"
        return Limits(self.dimension, self.holders if registered else MOST_OPEN_MESSAGES)


_RULES = RecordCoder(Rules, tag=b"fedchain:r", what="rules")


def genesis(rules: Rules, state: State) -> Block:
    """Return the genesis block, the first of a chain; the hash of its header is the chain id.

    It commits to the rules and to the initial state. It has no messages and needs no work.

    Args:
        rules: the rules that all blocks above it must keep.
        state: the initial weights and the update's initial memory.
    """
    header = Header(
        version=BLOCK_VERSION,
        chain_id=ZERO,
        height=0,
        parent=ZERO,
        time_ms=0,
        bits=rules.bits,
        address=ZERO,
        messages_root=messages_root(()),
        weights_hash=state.weights_hash,
        memory_hash=state.memory_hash,
        rules_hash=rules.hash,
        nonce=0,
    )
    return Block(header, ())


def encode_rules(rules: Rules) -> bytes:
    """Return the canonical bytes of the rules.

    Raises:
        EncodingError: the value of a field cannot be encoded.
    """
    return _RULES.write(rules)


def decode_rules(data: bytes) -> Rules:
    """Decode rules.

    Raises:
        EncodingError: the bytes are not the encoding of any rules.
    """
    return _RULES.decode(data)
