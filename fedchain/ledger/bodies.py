"""The large parts of a block on disk: its messages, its weights, the memory of the update."""

from __future__ import annotations

from fedchain.errors import LedgerError
from fedchain.ledger.blobs import Blobs
from fedchain.ledger.block import (
    Block,
    Header,
    block_hash,
    decode_header,
    decode_messages,
    encode_messages,
    message_bytes,
    messages_root,
)
from fedchain.ledger.database import BlockRow
from fedchain.ledger.rules import Rules, limits_of
from fedchain.ledger.state import (
    State,
    decode_tensors,
    encode_memory,
    encode_weights,
    hash_memory,
    hash_weights,
)

_FREE = 65_536
"""Bytes that names and shapes may take beside the numbers of a blob."""
_MOST_MEMORY = 16
"""The memory of an update is at most this many times as large as float64 weights."""


def read_block(blobs: Blobs, rules: Rules, row: BlockRow) -> Block:
    """Return the block of a row: header and messages fit the name and each other.

    Raises:
        LedgerError: they do not, or the blob is missing or damaged.
    """
    header, limits = decode_header(row.header), limits_of(rules)
    if block_hash(header) != row.hash:
        raise LedgerError(
            f"header: was changed: it hashes to {block_hash(header).hex()[:8]}, not to its name"
        )
    longest = 4 + limits.messages * (4 + message_bytes(limits))
    messages = decode_messages(blobs.get(row.messages, longest), limits)
    if messages_root(messages) != header.messages_root:
        raise LedgerError("messages_root: is not the root of its messages")
    return Block(header, messages)


def read_state(blobs: Blobs, rules: Rules, header: Header) -> State:
    """Return the state that a header commits to.

    Raises:
        LedgerError: a blob is missing or damaged, or holds something else than weights.
    """
    size = 8 * rules.dimension
    tensors = decode_tensors(blobs.get(header.weights_hash, size + _FREE))
    weights = tensors.get("weights")
    fits = weights is not None and weights.shape == (rules.dimension,)
    if weights is None or not fits or len(tensors) > 1 or weights.dtype.name != rules.dtype:
        raise LedgerError(f"weights: must be one row of {rules.dimension} {rules.dtype}")
    memory = decode_tensors(blobs.get(header.memory_hash, _MOST_MEMORY * size + _FREE))
    return State(weights, memory)


def write_bodies(blobs: Blobs, block: Block, state: State) -> bytes:
    """Write the messages of a block and the state after it.

    Returns:
        Address of the messages' blob, 32 bytes; the header has those of the state.

    Raises:
        ValueError: the state is not the one that the header commits to.
        OSError: the disk is full, or may not be written.
    """
    if (hash_weights(state), hash_memory(state)) != (
        block.header.weights_hash,
        block.header.memory_hash,
    ):
        raise ValueError("state: is not the one that the block's header commits to")
    contents = encode_weights(state), encode_memory(state), encode_messages(block.messages)
    return blobs.put(*contents)[-1]
