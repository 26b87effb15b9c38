"""Chains made by hand, from docs/format.md, so that any one thing in them can be made wrong.

``make(hand)`` returns the bytes of a chain file. A ``Hand`` says what is agreed and which blocks
there are. Its hook is shown every record before the record is sealed, and may change it: what
follows from the record (ids, signatures, roots, nonces, states, the digest) is right again.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hand_bytes import (
    STORAGES,
    Record,
    blob,
    file_bytes,
    header_bytes,
    id_of,
    message_bytes,
    paid,
    path_of,
    public_of,
    quantised,
    root_of,
    secret_of,
    signed,
)
from verify_chain import blocks, canonical, chain, encoding, merkle, rules, work

Hook = Callable[[str, Record], None]
"""Function of the kind of a record (agreed, message, header, block, file) and the record."""
ROOT = -1
"""Number of the public root among the holders."""
WORK, ROUNDS = "ledger.work", 4
UNMADE = (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError)
"""Errors of a chain that cannot go on, since what is agreed makes no sense."""
State = tuple[np.ndarray, dict[str, np.ndarray]]
"""Weights and memory."""
MOST_WEIGHTS = 1000
"""A chain whose rules say more weights has so many."""
AGREED: Record = {
    "format": 2,
    "aggregation": {"kind": "mean", "scale": "restore"},
    "update": {"kind": "momentum", "learning_rate": 0.5, "momentum": 0.9},
    "task": {"kind": "made_up", "records": 16},
    "privacy": {
        "kind": "gaussian",
        "delta": 1e-5,
        "releases": 4,
        "noise": [1.25, 1.5],
        "clip": 0.5,
    },
    "groups": None,
    "momentum": None,
    "threat": {"byzantine": 1, "identity": "registered"},
    "records": [[3, 1], [5, 1], [8, 1]],
    "root": True,
    "commitment": "ab" * 32,
    "model": {"dimension": 3, "dtype": "float64", "layout": [["weight", [1, 2]], ["bias", [1]]]},
    "ledger": {
        "holders": 3,
        "identity": "registered",
        "identity_root": "00" * 32,
        "quorum": 1,
        "rounds": ROUNDS,
        "storage": "int16",
        "max_norm": 100.0,
        "work": "hashcash",
        "bits": work.compact_of(2**253),
        "interval_ms": 1000,
        "retarget_window": 0,
        "max_ahead_ms": 5000,
    },
}
"""What is agreed, but for the root of the identities, which ``make`` puts in."""


def _leave(kind: str, record: Record) -> None:
    """Change nothing."""


@dataclass
class Hand:
    """What a chain is made of."""

    agreed: Record = field(default_factory=lambda: copy.deepcopy(AGREED))
    """The rules as a JSON value; ``ledger.identity_root`` is put in."""
    speakers: tuple[int, ...] = (0, 1, 2, ROOT)
    """Who speaks in every block."""
    silent: tuple[int, ...] = (1,)
    """Holders whose gradient is exactly zero in every block."""
    public: tuple[int, ...] = (ROOT,)
    """Who is registered with 0 records, if the rules say that there is a public root."""
    parents: tuple[int, ...] = (0, 1, 2, 1)
    """The parent of each block after genesis, which is number 0."""
    pace: tuple[int, ...] = (1000,)
    """Milliseconds from a parent's time to its child's, in turn."""
    weights: tuple[float, ...] = (0.5, -0.25, 2.0)
    """The first weights."""
    text: Callable[[bytes], bytes] = bytes
    """Changes the text of the rules."""
    hook: Hook = _leave
    """Changes records."""
    sealed: bool = True
    """Whether hashes, work and signatures are right again after the change."""
    genesis: bytes = bytes(32)
    """The hash of the genesis block, which ``make`` puts in."""
    beyond: bool = False
    """Whether a value is beyond the bounds of its table, so that both must refuse the chain."""


@dataclass
class _Made:
    """A block that was made, and what follows from it."""

    header: Record
    hash: bytes
    data: bytes
    state: State
    arrived_ms: int = 0


def records_of(hand: Hand, holder: int) -> int:
    """Return the registered number of records of a holder; 0 for a public root."""
    if holder in hand.public:
        return 0
    for number, count in hand.agreed["records"]:
        if holder < count:
            return int(number)
        holder -= count
    return 7


def leaves_of(hand: Hand) -> list[bytes]:
    """Return the identity leaves of three holders and, if there is one, the public root."""
    holders = {0, 1, 2, *(hand.public if hand.agreed["root"] else ())}
    return sorted(
        (round_.to_bytes(4) + encoding.sha(public_of(secret_of("holder", holder, round_))))
        + records_of(hand, holder).to_bytes(4)
        for round_ in range(1, ROUNDS + 1)
        for holder in holders
    )


def message_of(hand: Hand, holder: int, parent: _Made, chain_id: bytes) -> Record:
    """Return the fields of a right message."""
    agreed, round_ = hand.agreed, parent.header["height"] + 1
    storage, d = agreed["ledger"]["storage"], agreed["model"]["dimension"]
    if d > MOST_WEIGHTS:
        raise ValueError(f"{d} weights are too many to be made")
    draws = np.random.default_rng([holder + 1, *parent.hash[:8]])
    vector = draws.integers(-9999, 10000, d).astype(np.float64) / 1000.0
    vector[:1] += not vector.any()
    vector *= holder not in hand.silent
    exponent, direction = quantised(vector, storage)
    secret = secret_of("holder", holder, round_)
    return {
        "holder": holder,
        "height": round_,
        "secret": secret,
        "version": 2,
        "chain_id": chain_id,
        "parent": parent.hash,
        "round": round_,
        "public_key": public_of(secret),
        "proof": proof_of(hand, public_of(secret), round_),
        "exponent": exponent,
        "width": STORAGES[storage],
        "entries": d,
        "direction": direction.tobytes(),
        "norm": math.sqrt(float(vector @ vector)),
        **declaration_of(hand, holder, round_),
        "records": records_of(hand, holder),
    }


def declaration_of(hand: Hand, holder: int, round_: int) -> Record:
    """Return what a holder declares in a round, or a public root."""
    privacy = hand.agreed["privacy"]
    if holder in hand.public:
        return {"mechanism": "none", "noise_step": 0, "noise": 0.0, "clip": math.inf}
    schedule, clip = privacy["noise"], privacy["clip"]
    step = round_ % len(schedule)
    said = {"mechanism": privacy["kind"], "noise_step": step, "noise": schedule[step]}
    return {**said, "clip": {None: 0.75, "inf": math.inf}.get(clip, clip)}


def proof_of(hand: Hand, key: bytes, round_: int) -> tuple[int, int, list[bytes]] | None:
    """Return the proof that a key is registered; a wrong one if it is not."""
    if hand.agreed["ledger"]["identity"] != "registered":
        return None
    leaves, start = leaves_of(hand), round_.to_bytes(4) + encoding.sha(key)
    at = next((n for n, leaf in enumerate(leaves) if leaf.startswith(start)), None)
    return (0, len(leaves), []) if at is None else (at, len(leaves), path_of(leaves, at))


def block_of(hand: Hand, tree: chain.Chain, number: int, parent: _Made) -> _Made:
    """Return a right block on a parent, but for what the hook changes."""
    said = [message_of(hand, holder, parent, tree.id) for holder in hand.speakers]
    for each in said:
        hand.hook("message", each)
    written = sorted(map(message_bytes, said), key=id_of)
    secret, height = secret_of("node", number), parent.header["height"] + 1
    time_ms = max(0, parent.header["time_ms"] + hand.pace[number % len(hand.pace)])
    state = _stepped(tree, parent.state, written, height)
    weights_hash, memory_hash = chain.hashes_of(*state)
    header = {
        "version": 2,
        "chain_id": tree.id,
        "height": height,
        "parent": parent.hash,
        "time_ms": time_ms,
        "bits": tree.place_above(parent.hash)["bits"],
        "address": encoding.sha(public_of(secret)),
        "messages_root": root_of(written),
        "weights_hash": weights_hash,
        "memory_hash": memory_hash,
        "rules_hash": parent.header["rules_hash"],
        "nonce": 0,
    }
    block = {"header": header, "messages": written, "number": number, "secret": secret}
    hand.hook("header", block)
    raw = header_bytes(header)
    block["raw"] = next(paid(raw, header["bits"]), raw) if tree.rules[WORK] == "hashcash" else raw
    block |= {"public_key": public_of(secret), "signature": signed(secret, block["raw"])}
    hand.hook("block", block)
    body = len(block["messages"]).to_bytes(4) + b"".join(map(blob, block["messages"]))
    data = block["raw"] + block["public_key"] + block["signature"] + body
    name = encoding.sha(encoding.sha(block["raw"]))
    return _Made(blocks.read_header(block["raw"]), name, data, state, time_ms)


def _stepped(tree: chain.Chain, before: State, written: list[bytes], height: int) -> State:
    """Return the state after a block; the one before it if no step can be made."""
    try:
        return tree.step(*before, [blocks.read_message(data) for data in written], height)
    except (encoding.Wrong, *UNMADE):
        return before


def make(hand: Hand) -> bytes:
    """Return a chain file; what cannot be made from the agreed text is left out."""
    agreed = hand.agreed
    if agreed["ledger"]["identity"] == "registered":
        agreed["ledger"]["identity_root"] = merkle.tree_root(leaves_of(hand)).hex()
    hand.hook("agreed", agreed)
    text, made = hand.text(canonical.write(agreed).encode()), list[_Made]()
    weights = first_weights(hand)
    try:
        tree = chain.Chain(rules.read_rules(text), encoding.sha(b"fedchain:r", text), weights)
        hand.genesis = tree.id
        made.append(_Made(tree.known[tree.id][0], tree.id, b"", (weights, {})))
        for number, parent in enumerate(hand.parents, 1):
            made.append(block_of(hand, tree, number, made[parent]))
            tree.known[made[-1].hash] = made[-1].header, 0, made[-1].state
    except (encoding.Wrong, encoding.UnknownRule, *UNMADE):
        pass
    record = {
        "version": 2,
        "rules": text,
        "weights": encoding.write_tensors({"weights": weights}),
        "memory": encoding.write_tensors({}),
        "count": len(made[1:]),
        "head": max(made, key=lambda block: work_below(made, block)).hash if made else bytes(32),
        "blocks": [(block.arrived_ms, block.data) for block in made[1:]],
    }
    hand.hook("file", record)
    return file_bytes(record)


def first_weights(hand: Hand) -> np.ndarray:
    """Return as many weights as are agreed, if they are not too many, of the agreed type."""
    model = hand.agreed.get("model")
    try:
        dimension = min(model["dimension"], MOST_WEIGHTS)
        dtype = model["dtype"] if model["dtype"] == "float32" else "float64"
        return np.resize(np.array(hand.weights, dtype), dimension)
    except UNMADE:
        return np.array(hand.weights)


def work_below(made: list[_Made], block: _Made) -> int:
    """Return the work of all blocks from one down to genesis; bits that are no target count 0."""
    total, known = 0, {each.hash: each for each in made}
    while block.header["parent"] in known:
        with contextlib.suppress(encoding.Wrong):
            total += work.work_of(block.header["bits"])
        block = known[block.header["parent"]]
    return total
