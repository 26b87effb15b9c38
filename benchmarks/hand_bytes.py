"""Bytes of chains made by hand, from docs/format.md: records to bytes, keys, proofs and nonces."""

from __future__ import annotations

import functools
import hashlib
import math
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LESSONS = Path(__file__).resolve().parents[1] / "scenarios" / "lessons"
sys.path.insert(0, str(LESSONS))

from verify_chain import blocks, encoding, merkle, rules, work  # noqa: E402

Record = dict[str, Any]
"""The fields of a message, a header, a block or a file by name."""
STORAGES = {"int8": 1, "int16": 2, "int32": 4}
MOST_TRIES = 2**12
"""Most nonces that are tried."""


@functools.cache
def secret_of(what: str, *numbers: int) -> Ed25519PrivateKey:
    """Return the secret key of a holder in a round, or of a compute node."""
    seed = hashlib.sha256(repr((what, *numbers)).encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


@functools.cache
def public_of(secret: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes of a public key."""
    return secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def path_of(leaves: list[bytes], place: int) -> list[bytes]:
    """Return the audit path of a leaf (RFC 6962, 2.1.1), from the leaf up."""
    if len(leaves) < 2:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:half], leaves[half:]
    if place < half:
        return [*path_of(left, place), merkle.tree_root(right)]
    return [*path_of(right, place - half), merkle.tree_root(left)]


def quantised(vector: np.ndarray, storage: str) -> tuple[int, np.ndarray]:
    """Return exponent and integers of a vector; (0, zeros) if it is zero."""
    kind = np.dtype(f"<i{STORAGES[storage]}")
    norm = math.sqrt(float(vector @ vector))
    if not norm:
        return 0, np.zeros(len(vector), kind)
    for exponent in range(20, -1, -1):
        entries = np.rint(2.0**exponent * vector / norm)
        if np.abs(entries).max() <= rules.ENTRIES[storage]:
            return exponent, entries.astype(kind)
    raise ValueError("a unit vector has an exponent")


def message_bytes(said: Record) -> bytes:
    """Return a message's bytes, signed by its secret key unless it has a signature already."""
    before = b"fedchain:m" + said["version"].to_bytes(2) + said["chain_id"] + said["parent"]
    before += said["round"].to_bytes(4) + said["public_key"]
    if said["proof"] is None:
        before += b"\0"
    else:
        index, size, path = said["proof"]
        before += b"\1" + index.to_bytes(8) + size.to_bytes(8) + bytes([len(path)]) + b"".join(path)
    carried = bytes([said["exponent"], said["width"]]) + said["entries"].to_bytes(4)
    carried += said["direction"]
    name = said["mechanism"].encode(errors="surrogatepass")
    after = struct.pack(">d", said["norm"]) + len(name).to_bytes(4) + name
    after += said["noise_step"].to_bytes(2) + struct.pack(">dd", said["noise"], said["clip"])
    after += said["records"].to_bytes(4)
    id_ = encoding.sha(before, encoding.sha(carried), after)
    signature = said.get("signature") or signed_by(said["secret"], b"fedchain:s" + id_)
    return said.get("spoilt", bytes)(before + carried + after + signature)


def header_bytes(header: Record) -> bytes:
    """Return a header's bytes."""
    names = (pair.split(":") for pair in blocks.HEADER.split())
    parts = [
        header[name] if kind[0] == "b" else header[name].to_bytes(int(kind[1:]))
        for name, kind in names
    ]
    return b"fedchain:h" + b"".join(parts)


def blob(data: bytes) -> bytes:
    """Return the length of bytes on four bytes, then the bytes."""
    return len(data).to_bytes(4) + data


def file_bytes(record: Record) -> bytes:
    """Return the bytes of a chain file, its digest at the end."""
    out = record.get("tag", b"fedchain:x") + record["version"].to_bytes(2) + blob(record["rules"])
    for name in ("weights", "memory"):
        out += len(record[name]).to_bytes(8) + record[name]
    out += record["count"].to_bytes(8) + record["head"]
    for arrived_ms, data in record["blocks"]:
        size = len(data) + record.get("longer", 0)
        out += arrived_ms.to_bytes(8) + size.to_bytes(8) + data
    whole = out + record.get("digest", encoding.sha(out)) + record.get("more", b"")
    if "flip" in record:
        place = int(record["flip"] * 8 * len(out))
        body = bytearray(out)
        body[place // 8] ^= 1 << place % 8
        return bytes(body) + encoding.sha(body if record.get("again") else out)
    return whole[: len(whole) - record.get("less", 0)]


def paid(raw: bytes, bits: int) -> Iterator[bytes]:
    """Yield the headers whose nonce brings the hash below the target."""
    target, start = work.target_of(bits).to_bytes(32), hashlib.sha256(raw[:-8])
    for nonce in range(MOST_TRIES):
        inner = start.copy()
        inner.update(nonce.to_bytes(8))
        if hashlib.sha256(inner.digest()).digest() <= target:
            yield raw[:-8] + nonce.to_bytes(8)


def id_of(message: bytes) -> bytes:
    """Return the id of a message; zeros if it cannot be read."""
    try:
        return blocks.read_message(message)["id"]
    except encoding.Wrong:
        return bytes(32)


def root_of(messages: list[bytes]) -> bytes:
    """Return the root over the contents of messages; over their bytes if one cannot be read."""
    try:
        return merkle.tree_root([blocks.read_message(data)["content"] for data in messages])
    except encoding.Wrong:
        return merkle.tree_root(messages)


def signed(secret: Ed25519PrivateKey, header: bytes) -> bytes:
    """Return the signature of a node under a block with this header."""
    return signed_by(secret, b"fedchain:k" + encoding.sha(encoding.sha(header)))


@functools.lru_cache(2**14)
def signed_by(secret: Ed25519PrivateKey, text: bytes) -> bytes:
    """Return the signature of a key under a text."""
    return secret.sign(text)
