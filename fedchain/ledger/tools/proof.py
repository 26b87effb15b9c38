"""Proof: shows to anyone who trusts a block's hash that a certain message is in the block.

A proof has the header, the rules, the message with a hash in place of its direction, and the path
from the message to the header's Merkle root.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from fedchain.errors import OLD_FORMAT, EncodingError, LedgerError
from fedchain.ledger.chain.block import BLOCK_VERSION, Header, decode_header, encode_header
from fedchain.ledger.chain.crypto import HASH, InclusionProof, Tree, root_from_path
from fedchain.ledger.chain.message import Message, decode_bare, encode_bare
from fedchain.ledger.chain.rules import Rules, decode_rules, encode_rules
from fedchain.ledger.chain.validity import check_bare
from fedchain.ledger.chain.work import is_paid, target_from_compact
from fedchain.ledger.storage import database
from fedchain.ledger.storage.store import Store

PROOF_FORMAT = "fedchain-proof-2"
"""Name and version of the file format of a proof."""
LARGEST_PROOF = 2**24
"""Most bytes that a file with a proof may have."""
LONGEST_PATH = 32
"""Most hashes that the path of a proof may have."""
SHORTEST_START = 8
"""Least number of hexadecimal digits of a message id that ``find`` accepts."""
Side = Literal["left", "right"]
"""Side on which a sibling node of the Merkle tree is."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Proof that one message is in one block."""

    block: bytes
    """The block's hash, 32 bytes; the reader must compare this hash with a trusted one."""
    header: bytes
    """Canonical bytes of the header, 264 bytes."""
    rules: bytes
    """Canonical bytes of the rules that the header commits to."""
    id: bytes
    """The message's id, 32 bytes."""
    message: bytes
    """Canonical bytes of the message without its direction."""
    path: tuple[tuple[Side, bytes], ...]
    """Side and hash (32 bytes) of each sibling node, from the leaf up to the root."""


@dataclass(frozen=True)
class Proven:
    """The content of a proof that passed the check."""

    header: Header
    """The header of the block."""
    message: Message
    """The message, without its direction."""
    checked: tuple[str, ...]
    """Names of the checks that were made. ``work`` is missing if work was sampled; ``identity`` is
    missing if identities are open."""


@dataclass(frozen=True)
class FoundMessage:
    """The id of a message that was found, and the hash of its block."""

    id: bytes
    """The message's id, 32 bytes."""
    block: bytes
    """Hash of the block that carries the message, 32 bytes."""
    stale: bool
    """True if no block of the main chain carries the message."""


def find(store: Store, start: str) -> FoundMessage:
    """Find a message and a block that carries it, preferably one of the main chain.

    Args:
        store: the ledger to search.
        start: the first 8 to 64 hexadecimal digits of the message id; or ``HEIGHT:PLACE``, the
            height of a block of the main chain and the message's index in the block, from 0.

    Raises:
        ValueError: ``start`` has neither form, or fits no message or several messages.
    """
    if place := re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", start):
        return _find_at(store, int(place[1]), int(place[2]))
    digits = start.lower()
    if not SHORTEST_START <= len(digits) <= 2 * HASH or set(digits) - set("0123456789abcdef"):
        raise ValueError(
            f"message: {start[:80]!r} is no id; give {SHORTEST_START} to {2 * HASH} "
            "hexadecimal digits from its start, or HEIGHT:PLACE"
        )
    store.flush()
    query = (
        "SELECT message.id, block.* FROM message JOIN block USING (sequence)"
        " WHERE message.id BETWEEN ? AND ? ORDER BY sequence"
    )
    low, high = (bytes.fromhex(digits.ljust(2 * HASH, filler)) for filler in "0f")
    found = list(database.ask(store.connection, query, low, high))
    ids = {name for name, *_ in found if isinstance(name, bytes)}
    if not ids:
        raise ValueError(
            f"message: no block of this ledger has {start}; inspect shows those it has"
        )
    if len(ids) > 1:
        raise ValueError(f"message: {len(ids)} begin with {start}; give more digits")
    rows = [database.checked_row(tuple(columns)) for _, *columns in found]
    main = _main_chain(store, min(row.height for row in rows))
    best = next((row for row in rows if row.hash in main), rows[0])
    return FoundMessage(ids.pop(), best.hash, stale=best.hash not in main)


def _find_at(store: Store, height: int, place: int) -> FoundMessage:
    """Find a message by the height of its block on the main chain and its index in the block."""
    store.flush()
    query = "SELECT * FROM block WHERE height = ?"
    rows = [database.checked_row(row) for row in database.ask(store.connection, query, height)]
    main = _main_chain(store, height)
    on_main = [row.hash for row in rows if row.hash in main]
    if not on_main:
        top = store.shown(store.head).header.height
        raise ValueError(f"message: there is no block {height}; allowed: 1 to {top}")
    ids = [message.id for message in store.shown(on_main[0]).messages]
    if place >= len(ids):
        places = f"0 to {len(ids) - 1}" if ids else "none, since it has no message"
        raise ValueError(f"message: block {height} has no message {place}; allowed: {places}")
    return FoundMessage(ids[place], on_main[0], stale=False)


def prove(store: Store, found: FoundMessage) -> Proof:
    """Return the proof that a message found by ``find`` is in its block.

    Raises:
        LedgerError: the ledger is damaged.
    """
    block = store.shown(found.block)
    ids = [message.id for message in block.messages]
    if found.id not in ids:
        raise LedgerError(f"messages: block {found.block.hex()[:8]} has not what its rows say")
    index = ids.index(found.id)
    leaves = [message.content for message in block.messages]
    path = Tree(leaves).proof(index).path
    proof = Proof(
        block=found.block,
        header=encode_header(block.header),
        rules=encode_rules(store.rules),
        id=found.id,
        message=encode_bare(block.messages[index]),
        path=tuple(zip(_sides(index, len(ids)), path, strict=True)),
    )
    verify_proof(proof)
    return proof


def verify_proof(proof: Proof) -> Proven:
    """Check a proof: the header's hash, the rules, the work, the path and the message.

    Work is not checked if it was sampled. The message's direction is never checked.

    Returns:
        The content of the proof. The message is proven if the chain has a block with this header.

    Raises:
        LedgerError: the proof is wrong; the error text is the reason.
    """
    header, rules = decode_header(proof.header), decode_rules(proof.rules)
    if header.hash != proof.block:
        raise LedgerError(f"block: is {_short(proof.block)}; the header's is {_short(header.hash)}")
    if header.version != BLOCK_VERSION:
        raise LedgerError(f"header: version is {header.version}; must be {BLOCK_VERSION}")
    if rules.hash != header.rules_hash:
        raise LedgerError("rules: are not those that the header commits to")
    _check_work(header, rules)
    message = decode_bare(proof.message)
    if message.id != proof.id:
        raise LedgerError(f"id: is {_short(proof.id)}; the message's is {_short(message.id)}")
    if _root(message.content, proof.path) != header.messages_root:
        raise LedgerError("path: does not lead from the message to the header's messages_root")
    check_bare(message, rules, header)
    identity = ("identity",) if rules.identity == "registered" else ()
    work = ("work",) if rules.work == "hashcash" else ()
    return Proven(header, message, ("path", "id", "rules", "signature", *identity, *work))


def encode(proof: Proof) -> bytes:
    """Encode a proof as JSON text in ASCII."""
    value = {
        "format": PROOF_FORMAT,
        "block": proof.block.hex(),
        "header": proof.header.hex(),
        "rules": proof.rules.hex(),
        "id": proof.id.hex(),
        "message": proof.message.hex(),
        "path": [{side: node.hex()} for side, node in proof.path],
    }
    return (json.dumps(value, indent=2) + "\n").encode()


def decode(data: bytes) -> Proof:
    """Decode a proof from its JSON text, without checking the proof.

    Raises:
        EncodingError: the bytes are not the output of ``encode`` for any proof.
    """
    if len(data) > LARGEST_PROOF:
        raise EncodingError(f"proof: has {len(data)} bytes; at most {LARGEST_PROOF}")
    try:
        value = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise EncodingError("proof: is no JSON in ASCII") from error
    if isinstance(value, dict) and value.get("format") == "fedchain-proof-1":
        raise EncodingError(f"proof: {OLD_FORMAT}")
    if not isinstance(value, dict) or value.get("format") != PROOF_FORMAT:
        raise EncodingError(f"proof: has not the format {PROOF_FORMAT!r}; no other is known")
    proof = Proof(
        block=_digits(value, "block"),
        header=_digits(value, "header"),
        rules=_digits(value, "rules"),
        id=_digits(value, "id"),
        message=_digits(value, "message"),
        path=_path(value.get("path")),
    )
    if encode(proof) != data:
        raise EncodingError("proof: is not the canonical JSON of its values")
    return proof


def _main_chain(store: Store, lowest: int) -> set[bytes]:
    """Return the hashes of the blocks of the main chain from the head down to a height."""
    query, block, main = "SELECT parent, height FROM block WHERE hash = ?", store.head, set()
    while block not in main:
        main.add(block)
        parent, height = next(database.ask(store.connection, query, block), (None, None))
        if not isinstance(parent, bytes) or not isinstance(height, int) or height <= lowest:
            break
        block = parent
    return main


def _sides(index: int, size: int) -> Iterator[Side]:
    """Yield the side of each sibling node, from the leaf at an index up to the root."""
    place, last = index, size - 1
    while last:
        if place % 2 or place != last:
            yield "left" if place % 2 else "right"
        place, last = place >> 1, last >> 1


def _root(leaf: bytes, steps: tuple[tuple[Side, bytes], ...]) -> bytes:
    # Several pairs of index and size have paths of the same shape, so a proof has only the sides.
    # The sides are the binary digits of the index in a full tree, which gives the same root.
    place = sum(1 << i for i, (side, _) in enumerate(steps) if side == "left")
    path = tuple(node for _, node in steps)
    return root_from_path(leaf, InclusionProof(place, 1 << len(path), path))


def _check_work(header: Header, rules: Rules) -> None:
    try:
        target, easiest = target_from_compact(header.bits), target_from_compact(rules.bits)
    except ValueError as error:
        raise LedgerError(f"header: {error}") from error
    if target > easiest:
        raise LedgerError(f"header: bits are {header.bits:#010x}; easier than the rules allow")
    if not is_paid(rules.work, header.hash, target):
        raise LedgerError(f"header: nonce {header.nonce} does not bring the hash below the target")


def _digits(value: dict[str, object], key: str) -> bytes:
    digits = value.get(key)
    try:
        return bytes.fromhex(digits)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise EncodingError(f"{key}: must be hexadecimal digits") from error


def _path(value: object) -> tuple[tuple[Side, bytes], ...]:
    if not isinstance(value, list) or len(value) > LONGEST_PATH:
        raise EncodingError(f"path: must be a list of at most {LONGEST_PATH} hashes")
    path: list[tuple[Side, bytes]] = []
    for step in value:
        sides = [side for side in get_args(Side) if isinstance(step, dict) and side in step]
        if len(sides) != 1 or len(node := _digits(step, sides[0])) != HASH:
            raise EncodingError(f"path: got {str(step)[:80]}; must be left or right, and 32 bytes")
        path.append((sides[0], node))
    return tuple(path)


def _short(digest: bytes) -> str:
    return digest.hex()[:8]
