"""Bodies of a block on disk: its messages, its weights and the memory of the update."""

from __future__ import annotations

import hashlib

from fedchain.errors import EncodingError, LedgerError
from fedchain.ledger.chain.block import (
    Block,
    Header,
    address_of,
    block_hash,
    decode_header,
    decode_messages,
    message_bytes,
    messages_parts,
    messages_root,
)
from fedchain.ledger.chain.encoding import Part, Reader, blob, unsigned
from fedchain.ledger.chain.message import Message, decode_bare, encode_bare
from fedchain.ledger.chain.rules import Rules, limits_of
from fedchain.ledger.chain.state import (
    State,
    decode_tensors,
    hash_memory,
    hash_weights,
    memory_parts,
    weights_parts,
)
from fedchain.ledger.storage.blobs import Blobs, changed
from fedchain.ledger.storage.database import BlockRow

_BARE_TAG = b"fedchain:p"
_MOST_BARE = 4096
"""Upper bound on the bytes of a message without its direction."""
_FREE = 65_536
"""Upper bound on the bytes of names and shapes in a blob of arrays."""
_MOST_MEMORY = 16
"""The memory of an update is at most this many times as large as float64 weights."""


def read_block(blobs: Blobs, rules: Rules, row: BlockRow) -> Block:
    """Read the block of a row, and check that header and messages fit the hash and each other.

    Raises:
        LedgerError: they do not fit, or the blob is missing or damaged.
    """
    return _check_block(row, _read_messages(blobs, rules, row.messages))


def _check_block(row: BlockRow, messages: tuple[Message, ...]) -> Block:
    header = decode_header(row.header)
    if block_hash(header) != row.hash:
        raise LedgerError(
            f"header: was changed: it hashes to {block_hash(header).hex()[:8]}, not to its name"
        )
    if messages_root(messages) != header.messages_root:
        raise LedgerError("messages_root: is not the root of its messages")
    return Block(header, messages)


def read_state(blobs: Blobs, rules: Rules, header: Header) -> State:
    """Read the state that a header commits to.

    Raises:
        LedgerError: a blob is missing or damaged, or does not hold a state under these rules.
    """
    return decode_state(rules, *read_state_bytes(blobs, rules, header))


def decode_state(rules: Rules, weights: bytes, memory: bytes) -> State:
    """Decode a state from the bytes of its weights and of its memory.

    Raises:
        LedgerError: the bytes are not those of a state under these rules.
    """
    tensors = decode_tensors(weights)
    row = tensors.get("weights")
    fits = row is not None and row.shape == (rules.dimension,)
    if row is None or not fits or len(tensors) > 1 or row.dtype.name != rules.dtype:
        raise LedgerError(f"weights: must be one row of {rules.dimension} {rules.dtype}")
    return State(row, decode_tensors(memory))


def read_state_bytes(blobs: Blobs, rules: Rules, header: Header) -> tuple[bytes, bytes]:
    """Read the bytes of the weights and of the memory that a header commits to.

    Raises:
        LedgerError: a blob is missing or damaged.
    """
    weights, memory = largest_state(rules)
    return blobs.get(header.weights_hash, weights), blobs.get(header.memory_hash, memory)


def largest_state(rules: Rules) -> tuple[int, int]:
    """Return upper bounds on the bytes of the weights and of the memory of the update."""
    size = 8 * rules.dimension
    return size + _FREE, _MOST_MEMORY * size + _FREE


def check_state(header: Header, state: State) -> None:
    """Check that a state is the one that a header commits to.

    Raises:
        ValueError: it is not.
    """
    if (hash_weights(state), hash_memory(state)) != (header.weights_hash, header.memory_hash):
        raise ValueError("state: is not the one that the block's header commits to")


def bodies_of(block: Block, state: State | None) -> dict[bytes, list[Part]]:
    """Return the blobs of a block in parts, by address: its messages and the state after it.

    Nothing large is copied or hashed again.

    Args:
        block: the block.
        state: the state after it; None if that is not to be kept.
    """
    messages = {address_of(block.messages): messages_parts(block.messages)}
    return messages if state is None else messages | state_bodies(block.header, state)


def state_bodies(header: Header, state: State) -> dict[bytes, list[Part]]:
    """Return the blobs of a state in parts, by address."""
    return {header.weights_hash: weights_parts(state), header.memory_hash: memory_parts(state)}


def bare_address(messages: bytes) -> bytes:
    """Return the address under which messages without their directions are stored, 32 bytes.

    Args:
        messages: the address of the whole messages, 32 bytes.
    """
    return hashlib.sha256(_BARE_TAG + messages).digest()


def bare_body(block: Block) -> list[Part]:
    """Return the blob of a block's messages without their directions, in parts.

    It has the number of messages (u32), then each message after its length.
    """
    bare = [blob(encode_bare(message)) for message in block.messages]
    return [unsigned(len(bare), 4), *bare]


def read_bare_block(blobs: Blobs, rules: Rules, row: BlockRow) -> Block:
    """Read the block of a row whose directions were pruned; otherwise as ``read_block``.

    Raises:
        LedgerError: the blob is missing or damaged, or does not fit the header.
    """
    limits = limits_of(rules)
    data = blobs.read(bare_address(row.messages), 4 + _MOST_BARE * limits.messages)
    reader = Reader(data)
    count = reader.unsigned(4)
    if count > limits.messages:
        raise EncodingError(f"messages: got {count}; at most {limits.messages}")
    messages = tuple(decode_bare(reader.blob(_MOST_BARE)) for _ in range(count))
    reader.end()
    return _check_block(row, messages)


def _read_messages(blobs: Blobs, rules: Rules, address: bytes) -> tuple[Message, ...]:
    limits = limits_of(rules)
    longest = 4 + limits.messages * (4 + message_bytes(limits))
    data = blobs.read(address, longest)
    try:
        messages = decode_messages(data, limits)
    except EncodingError as error:
        raise changed(address, str(error)) from error
    if (digest := address_of(messages)) != address:
        raise changed(address, f"they hash to {digest.hex()[:8]}")
    return messages
