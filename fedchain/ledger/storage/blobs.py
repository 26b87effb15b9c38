"""Blobs: writes and reads the large data of blocks as files named by a hash of their content.

A block has one blob for its messages, one for the weights and one for the update's memory.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedchain.errors import EncodingError, LedgerError
from fedchain.files import read_bytes
from fedchain.ledger.chain.block import (
    Block,
    Header,
    address_of,
    decode_header,
    decode_messages,
    messages_parts,
    messages_root,
)
from fedchain.ledger.chain.encoding import Piece, Reader, blob, unsigned
from fedchain.ledger.chain.message import Message, decode_bare, encode_bare
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.state import State, decode_tensors, tensor_parts, weights_parts
from fedchain.ledger.storage.database import BlockRow
from fedchain.system import delete, replace, sync_file, sync_folder

_UNFINISHED = ".new-"
_BUFFER = 2**20
"""Size of the file buffer, bytes."""
_BARE_TAG = b"fedchain:p"
_MOST_BARE = 4096
"""Upper bound on the bytes of a message without its direction."""
_FREE = 65_536
"""Upper bound on the bytes of all names and shapes in a blob of arrays."""
_MOST_MEMORY = 16
"""Upper bound on the size of the update's memory, as a multiple of the size of float64 weights."""


class Blobs:
    """A folder of files named by address (``ab/abcd..``); each file is always complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._present: set[bytes] = set()

    def path(self, address: bytes) -> Path:
        """Return the path of the blob with this address (32 bytes)."""
        name = address.hex()
        return self.folder / name[:2] / name

    def put(self, blobs: Mapping[bytes, Sequence[Piece]]) -> None:
        """Write blobs and sync the disk; replace damaged blobs, and skip blobs that exist already.

        Args:
            blobs: the bytes of each blob in pieces, by address (32 bytes).

        Raises:
            OSError: the disk is full or cannot be written.
        """
        # All blobs are written before the first is synced.
        unknown = {a: parts for a, parts in blobs.items() if a not in self._present}
        new = {a: parts for a, parts in unknown.items() if not self._holds(a, parts)}
        folders = {self.path(address).parent for address in new}
        for folder in sorted(folders):
            if not folder.exists():
                folder.mkdir()
                folders.add(self.folder)
        drafts = {address: self._draft(address) for address in new}
        for address, parts in new.items():
            with drafts[address].open("xb", buffering=_BUFFER) as file:
                file.writelines(parts)
        for address, draft in drafts.items():
            sync_file(draft)
            replace(draft, self.path(address))
        for folder in folders:
            sync_folder(folder)
        self._present = set(blobs)

    def read(self, address: bytes, limit: int) -> bytes:
        """Return the bytes of a blob, without checking that they belong to the address.

        Raises:
            LedgerError: the file is missing, has more than ``limit`` bytes or cannot be read.
        """
        try:
            return read_bytes(self.path(address), limit)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise LedgerError(f"blob {address.hex()[:8]}: cannot be read: {reason}") from error

    def get(self, address: bytes, limit: int) -> bytes:
        """Return the bytes of a blob, and check that their SHA-256 is the address.

        Raises:
            LedgerError: the file is missing, has more than ``limit`` bytes, cannot be read or was
                changed.
        """
        data = self.read(address, limit)
        if (digest := hashlib.sha256(data).digest()) != address:
            raise _changed(address, f"they hash to {digest.hex()[:8]}")
        return data

    def has(self, address: bytes) -> bool:
        """Return whether a blob with this address (32 bytes) exists."""
        return self.path(address).exists()

    def remove(self, addresses: set[bytes]) -> None:
        """Delete the blobs with these addresses, if they exist.

        Raises:
            OSError: the folder cannot be written.
        """
        for address in sorted(addresses):
            delete(self.path(address))
        self._present -= addresses

    def clear_unfinished(self) -> None:
        """Delete the temporary files that an interrupted ``put`` left behind."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            delete(path)

    def _holds(self, address: bytes, parts: Sequence[Piece]) -> bool:
        if not self.has(address):
            return False
        wanted = b"".join(parts)
        try:
            return read_bytes(self.path(address), len(wanted)) == wanted
        except OSError:  # another thing has its name
            return False

    def _draft(self, address: bytes) -> Path:
        return self.folder / f"{_UNFINISHED}{address.hex()}-{secrets.token_hex(8)}"


def read_block(blobs: Blobs, rules: Rules, row: BlockRow, whole: bool = True) -> Block:
    """Read a block; check the header against the block's hash, and the messages against the header.

    ``whole`` is False if the directions were pruned.

    Raises:
        LedgerError: the header or the messages were changed, or the blob is missing or damaged.
    """
    messages = (_read_messages if whole else _read_bare_messages)(blobs, rules, row.messages)
    header = decode_header(row.header)
    if header.hash != row.hash:
        raise LedgerError(
            f"header: was changed: it hashes to {header.hash.hex()[:8]}, not to its name"
        )
    if messages_root(messages) != header.messages_root:
        raise LedgerError("messages_root: is not the root of its messages")
    return Block(header, messages, row.public_key, row.signature)


def read_state(blobs: Blobs, rules: Rules, header: Header) -> State:
    """Read the state that a header commits to.

    Raises:
        LedgerError: a blob is missing or damaged, or the state does not fit the rules.
    """
    return decode_state(rules, *read_state_bytes(blobs, rules, header))


def decode_state(rules: Rules, weights: bytes, memory: bytes) -> State:
    """Decode a state from the canonical bytes of its weights and of its memory.

    Raises:
        LedgerError: the bytes encode no state that fits the rules.
    """
    tensors = decode_tensors(weights)
    row = tensors.get("weights")
    fits = row is not None and row.shape == (rules.dimension,)
    if row is None or not fits or len(tensors) > 1 or row.dtype.name != rules.dtype:
        raise LedgerError(f"weights: must be one row of {rules.dimension} {rules.dtype}")
    return State(row, decode_tensors(memory))


def read_state_bytes(blobs: Blobs, rules: Rules, header: Header) -> tuple[bytes, bytes]:
    """Read the canonical bytes of the weights and of the memory that a header commits to.

    Raises:
        LedgerError: a blob is missing or damaged.
    """
    weights, memory = largest_state(rules)
    return blobs.get(header.weights_hash, weights), blobs.get(header.memory_hash, memory)


def largest_state(rules: Rules) -> tuple[int, int]:
    """Return upper bounds on the bytes of the encoded weights and of the encoded memory."""
    size = 8 * rules.dimension
    return size + _FREE, _MOST_MEMORY * size + _FREE


def check_state(header: Header, state: State) -> None:
    """Check that a state is the one that a header commits to.

    Raises:
        ValueError: the header commits to another state.
    """
    if (state.weights_hash, state.memory_hash) != (header.weights_hash, header.memory_hash):
        raise ValueError("state: is not the one that the block's header commits to")


def bodies_of(block: Block, state: State | None) -> dict[bytes, list[Piece]]:
    """Return the blobs of a block's messages and state (if any), each in pieces, by address."""
    messages = {address_of(block.messages): messages_parts(block.messages)}
    return messages if state is None else messages | state_bodies(block.header, state)


def state_bodies(header: Header, state: State) -> dict[bytes, list[Piece]]:
    """Return the blobs of a state's weights and memory, each in pieces, by address."""
    memory = tensor_parts(state.memory)
    return {header.weights_hash: weights_parts(state), header.memory_hash: memory}


def bare_address(messages: bytes) -> bytes:
    """Return the address of a block's messages without their directions, 32 bytes.

    Args:
        messages: the address of the same messages with their directions, 32 bytes.
    """
    return hashlib.sha256(_BARE_TAG + messages).digest()


def bare_body(block: Block) -> list[Piece]:
    """Return the blob of a block's messages without their directions, in pieces."""
    bare = [blob(encode_bare(message)) for message in block.messages]
    return [unsigned(len(bare), 4), *bare]


def _read_bare_messages(blobs: Blobs, rules: Rules, address: bytes) -> tuple[Message, ...]:
    most = rules.limits.messages
    reader = Reader(blobs.read(bare_address(address), 4 + _MOST_BARE * most))
    count = reader.unsigned(4)
    if count > most:
        raise EncodingError(f"messages: got {count}; at most {most}")
    messages = tuple(decode_bare(reader.blob(_MOST_BARE)) for _ in range(count))
    reader.end()
    return messages


def _read_messages(blobs: Blobs, rules: Rules, address: bytes) -> tuple[Message, ...]:
    limits = rules.limits
    data = blobs.read(address, limits.body_bytes)
    try:
        messages = decode_messages(data, limits)
    except EncodingError as error:
        raise _changed(address, str(error)) from error
    if (digest := address_of(messages)) != address:
        raise _changed(address, f"they hash to {digest.hex()[:8]}")
    return messages


def _changed(address: bytes, how: str) -> LedgerError:
    """Return the error for a blob whose content does not belong to its address."""
    return LedgerError(f"blob {address.hex()[:8]}: its bytes were changed: {how}")
