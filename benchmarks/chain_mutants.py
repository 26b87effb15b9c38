"""Mutants of chains made by hand: one thing is changed, and what follows from it is right again."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import hand_bytes
import numpy as np
from agreed_mutants import change_agreed, change_text, flipped, put
from hand_bytes import Record
from hand_chain import ROOT, Hand, make
from verify_chain import canonical, encoding, work

REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 1.25, 1.5, 100.0, 1e-300, 5e-324, 1e308, math.inf, -math.inf)
REALS += (math.nan,)
DESCENT: Record = {"kind": "gradient_descent", "learning_rate": 0.25}
RULES: tuple[Record, ...] = (
    {"kind": "mean"},
    {"kind": "mean", "scale": "unit"},
    {"kind": "l_nearest", "keep": 2, "scale": "median_clip"},
    {"kind": "l_nearest", "keep": 1},
    {"kind": "mean", "weights": "records"},
    {"kind": "l_nearest", "keep": 2, "weights": {"kind": "records", "cap": "median"}},
)
UPDATES: tuple[Record, ...] = (
    DESCENT,
    {**DESCENT, "decay": 0.5, "weight_decay": 0.1},
    {"kind": "momentum", "learning_rate": 1, "momentum": 0.5},
    {"kind": "adam", "learning_rate": 0.1, "beta1": 0.5},
    {"kind": "distance_over_gradients", "first": 0.2},
    {"kind": "averaged", "of": DESCENT, "from_round": 2, "decay": 0.75},
    {"kind": "filtered", "of": {"kind": "adam", "learning_rate": 0.1}, "drift": 0.3},
    {"kind": "filtered", "of": {"kind": "averaged", "of": DESCENT}},
)
Mutate = Callable[[random.Random, Hand], str]
"""Function of draws and a hand that changes the hand, and says what it has changed."""


def base(draws: random.Random) -> Hand:
    """Return a right chain with drawn rules."""
    hand = Hand()
    agreed, ledger = hand.agreed, hand.agreed["ledger"]
    dimension = draws.choice((2, 3, 3, 3, 17))
    agreed["model"] |= {"dimension": dimension, "layout": [["w", [dimension]]]}
    agreed["model"]["dtype"] = draws.choice(("float64", "float64", "float32"))
    agreed["aggregation"] = dict(draws.choice(RULES))
    agreed["update"] = dict(draws.choice(UPDATES))
    agreed["privacy"]["clip"] = draws.choice((0.5, None, "inf"))
    ledger["storage"] = draws.choice(("int8", "int16", "int16", "int32"))
    ledger["work"] = draws.choice(("hashcash", "sampled"))
    ledger["retarget_window"] = draws.choice((0, 0, 1, 2, 3))
    ledger["interval_ms"] = draws.choice((1, 500, 1000, 4000))
    if draws.random() < 0.3:
        agreed |= {"records": [], "root": False}
        agreed["aggregation"].pop("weights", None)
        ledger["identity"], hand.speakers = "open", (0, 1, 2)
    elif draws.random() < 0.4:
        agreed["root"], hand.speakers = False, (0, 1, 2)
    hand.silent = draws.choice(((), (1,), (0, 1), (0, 1, 2, ROOT)))
    hand.parents = draws.choice(((0, 1), (0, 1), (0, 0, 2), (0, 1, 2, 1)))
    hand.pace = tuple(draws.choice((1, 500, 1000, 4000, 20000)) for _ in range(3))
    return without_learning(draws, hand) if draws.random() < 0.1 else hand


def without_learning(draws: random.Random, hand: Hand) -> Hand:
    """Return a longer chain of blocks without messages, for its times, forks and targets."""
    hand.agreed["ledger"] |= {"quorum": 0, "rounds": 40, "work": "sampled"}
    hand.agreed["ledger"]["retarget_window"] = draws.choice((0, 1, 2, 3, 5, 7))
    hand.speakers = ()
    hand.parents = tuple(max(0, n - draws.choice((0, 0, 0, 0, 1, 2, 5))) for n in range(13))
    hand.pace = tuple(draws.choice((-3000, -1, 1, 50, 1000, 5000)) for _ in range(7))
    return hand


MESSAGE: dict[str, tuple[Any, ...]] = {
    "version": (0, 1, 3, 65535),
    "chain_id": (bytes(32), bytes(31) + b"\1"),
    "parent": (bytes(32),),
    "round": (0, 1, 2, 3, 2**32 - 1),
    "secret": (0, 1, 2, ROOT, 9),
    "public_key": (bytes(32), b"\1" + bytes(31), b"\xff" * 32, bytes(31) + b"\x80"),
    "proof": (None, (0, 1, []), (0, 0, []), (2**64 - 1, 2**64 - 1, []), (0, 9, [bytes(32)] * 65)),
    "path": ("less", "more", "other", "beside"),
    "exponent": (0, 1, 5, 6, 13, 14, 15, 19, 20, 21, 255, "less", "more"),
    "width": (0, 1, 2, 3, 4, 8),
    "entries": (0, 1, 2, 4, 2**32 - 1),
    "direction": ("negated", "zero", "halved", "nudged", "short", "long", "least", "coarse"),
    "norm": REALS,
    "mechanism": ("", "none", "gaussian", "Gaussian", "x" * 64, "x" * 65, "\ud800"),
    "noise_step": (0, 1, 2, 3, 65535),
    "noise": REALS,
    "clip": REALS,
    "records": (0, 1, 3, 5, 8, 2**32 - 1),
    "signature": (bytes(64), b"\1" + bytes(63), None),
    "bytes": ("less", "more", "tag", "nan", "proof"),
}
"""Values of the fields of a message, and ways to change them."""


def change_message(draws: random.Random, hand: Hand) -> str:
    """Give a field of a message another value; the message is signed again."""
    name = draws.choice(list(MESSAGE))
    new = draws.choice(MESSAGE[name])
    speakers = [ROOT] if draws.random() < 0.25 and ROOT in hand.speakers else hand.speakers
    holder, height = draws.choice(speakers or (0,)), draws.choice((1, 1, 2, 2, 3))
    if name == "noise" and new == 0 and math.copysign(1, new) < 0:
        hand.agreed["privacy"]["noise"] = [0]
    hand.sealed = name not in ("signature", "public_key", "bytes")

    def hook(kind: str, record: Record) -> None:
        if kind == "message" and (record["holder"], record["height"]) == (holder, height):
            change_field(draws, record, name, new)

    hand.hook = hook
    return f"message of {holder} at {height}: {name} = {new!r:.60}"


def change_field(draws: random.Random, record: Record, name: str, new: Any) -> None:
    """Change one field of a message."""
    if name == "direction":
        record[name] = bent(record, new)
    elif name == "width" and new in (1, 2, 4):
        entries = np.frombuffer(record["direction"], f"<i{record['width']}")
        record |= {"width": new, "direction": entries.astype(f"<i{new}").tobytes()}
    elif name == "path" and record["proof"] and record["proof"][2]:
        index, size, path = record["proof"]
        record["proof"] = {
            "less": (index, size, path[:-1]),
            "more": (index, size, [*path, bytes(32)]),
            "other": (index, size, [*path[:-1], bytes(32)]),
            "beside": (index ^ 1, size, path),
        }[new]
    elif name == "exponent" and isinstance(new, str):
        record[name] = max(0, record[name] + (1 if new == "more" else -1))
    elif name == "secret":
        record[name] = hand_bytes.secret_of("holder", new, record["height"])
        record["public_key"] = hand_bytes.public_of(record[name])
    elif name == "signature" and new is None:
        record[name] = hand_bytes.signed_by(record["secret"], b"fedchain:s" + bytes(32))
    elif name == "bytes":
        record["spoilt"] = lambda data: spoilt_message(data, new)
    elif name != "path":
        record[name] = new
    if draws.random() < 0.02:
        record["norm"] = draws.choice(REALS)


def spoilt_message(data: bytes, how: str) -> bytes:
    """Return other bytes than those of any message."""
    at = data.find(b"gaussian")
    nan = data[: at - 12] + b"\x7f\xf8" + bytes(5) + b"\1" + data[at - 4 :] if at > 0 else data
    proof = data[:112] + b"\2" + data[113:]
    tag = b"fedchain:h" + data[10:]
    return {"less": data[:-1], "more": data + b"\0", "tag": tag, "nan": nan, "proof": proof}[how]


def bent(record: Record, how: str) -> bytes:
    """Return another direction for a message."""
    kind = np.dtype(f"<i{record['width']}")
    entries = np.frombuffer(record["direction"], kind).copy()
    if how in ("short", "long"):
        entries = np.resize(entries, max(0, len(entries) + (1 if how == "long" else -1)))
        record["entries"] = len(entries)
    elif how == "least":
        entries[:1] = np.iinfo(kind).min
    elif how == "coarse":  # as a smaller exponent would write it
        entries, record["exponent"] = np.rint(entries / 2), max(0, record["exponent"] - 1)
    elif how == "nudged":
        entries[:1] += np.int8(1)
    else:
        entries = {"negated": -entries, "zero": entries * 0, "halved": entries // 2}[how]
    return entries.astype(kind).tobytes()


def change_header(draws: random.Random, hand: Hand) -> str:
    """Give a field of a header another value; the nonce is searched for, and the block signed."""
    number = draws.randrange(1, len(hand.parents) + 1)
    bits = hand.agreed["ledger"]["bits"]
    ways: dict[str, tuple[Any, ...]] = {
        "version": (0, 1, 3),
        "chain_id": (bytes(32),),
        "height": (0, 1, 2, 3, 4, 5, 2**64 - 1),
        "parent": (bytes(32), b"\1" * 32),
        "time_ms": (0, 1, 999, 1000, 2000, 3000, 8999, 9000, 9001, 2**53, 2**64 - 1),
        "bits": (0, 1, bits, bits + 1, bits - 1, 2**32 - 1, 0x01010000, work.compact_of(2**252)),
        "address": (bytes(32), encoding.sha(b"")),
        "messages_root": (bytes(32), encoding.sha()),
        "weights_hash": (bytes(32),),
        "memory_hash": (bytes(32),),
        "rules_hash": (bytes(32),),
        "nonce": (1, 2**64 - 1),
    }
    name = draws.choice(list(ways))
    new = draws.choice(ways[name])

    def hook(kind: str, record: Record) -> None:
        if record.get("number") == number and kind == ("block" if name == "nonce" else "header"):
            record["header"][name] = new
            if name == "nonce":
                resealed(record)

    hand.hook, hand.sealed = hook, name != "nonce"
    return f"header {number}: {name} = {new!r:.60}"


def resealed(record: Record) -> None:
    """Write a block's header and sign it again, without a search for the nonce."""
    record["raw"] = hand_bytes.header_bytes(record["header"])
    record["signature"] = hand_bytes.signed(record["secret"], record["raw"])


AGREED_FOR: dict[str, Record] = {
    "a quorum that is missed": {"ledger.quorum": 5, "ledger.holders": 9},
    "a round too many": {"ledger.rounds": 1},
    "a holder too many": {"ledger.holders": 1},
    "no clip where all is agreed": {"privacy.clip": None},
}
"""What is agreed so that right blocks are refused."""


def change_block(draws: random.Random, hand: Hand) -> str:
    """Change which messages a block has, or who signs it."""
    number = draws.randrange(1, len(hand.parents) + 1)
    before: list[bytes] = []
    heard: dict[Any, Record] = {}
    ways: dict[str, Callable[[Record], None]] = {
        "messages reversed": lambda r: r["messages"].reverse(),
        "a message twice": lambda r: r["messages"].append(r["messages"][-1]),
        "no messages": lambda r: r["messages"].clear(),
        "one message less": lambda r: r["messages"].pop(),
        "a message of the block before": lambda r: r["messages"].extend(before[:1]),
        "a message of no bytes": lambda r: r["messages"].append(b""),
        "a byte of a message": lambda r: r["messages"].append(flipped(draws, r["messages"].pop())),
        "a text that is no UTF-8": lambda r: r["messages"].append(
            r["messages"].pop().replace(b"gaussian", b"gauss\xffan")
        ),
        "one identity twice": lambda _: None,
        "a copy": lambda _: None,
        "two public roots": lambda _: None,
    }
    seals: dict[str, Callable[[Record], None]] = {
        "signature of zeros": lambda r: r.update(signature=bytes(64)),
        "signature of another": lambda r: r.update(
            signature=hand_bytes.secret_of("node", 7).sign(b"fedchain:k" + b"0" * 32)
        ),
        "signature of the hash alone": lambda r: r.update(
            signature=r["secret"].sign(encoding.sha(encoding.sha(r["raw"])))
        ),
        "another public key": lambda r: r.update(public_key=b"\2" * 32),
        "a key of small order": lambda r: r.update(public_key=b"\1" + bytes(31)),
        "a byte of the signature": lambda r: r.update(signature=flipped(draws, r["signature"])),
        "a byte of the public key": lambda r: r.update(public_key=flipped(draws, r["public_key"])),
        "messages without their root": lambda r: r["messages"].pop(),
    }
    name = draws.choice([*ways, *seals, *AGREED_FOR])
    for key, value in AGREED_FOR.get(name, {}).items():
        put(hand.agreed, key, value)
    hand.sealed = name not in seals
    if name == "one identity twice" and hand.speakers:
        hand.speakers = (0, *hand.speakers[:2], 0)
    if name == "two public roots" and hand.agreed["root"]:
        hand.public, hand.silent = (1, ROOT), (1, ROOT)

    def hook(kind: str, record: Record) -> None:
        if kind == "message" and name == "a copy":
            copied = heard.setdefault((record["parent"], record["width"]), record)
            record |= {key: copied[key] for key in ("exponent", "direction", "norm")}
        elif kind == "header":
            if record["number"] == number and name in ways:
                ways[name](record)
                record["header"]["messages_root"] = hand_bytes.root_of(record["messages"])
            before[:] = record["messages"]
        elif kind == "block" and record["number"] == number and name in seals:
            seals[name](record)

    hand.hook = hook
    return f"block {number}: {name}"


def change_file(draws: random.Random, hand: Hand) -> str:
    """Change what the file says beside the blocks, or one of its bytes; the digest is right."""

    def shown(record: Record, change: Callable[[bytes], bytes]) -> None:
        record["blocks"][-1] = (record["blocks"][-1][0], change(record["blocks"][-1][1]))

    other = draws.choice((1, 4, 2**31))
    ways: dict[str, Callable[[Record], None]] = {
        "tag": lambda r: r.update(tag=draws.choice((b"fedchain:y", bytes(10)))),
        "version": lambda r: r.update(version=draws.choice((0, 1, 3))),
        "count": lambda r: r.update(count=draws.choice((0, 1, 2, 9, 2**64 - 1))),
        "head": lambda r: r.update(head=bytes(32)),
        "genesis as head": lambda r: r.update(head=hand.genesis),
        "no blocks": lambda r: r.update(blocks=[], count=0),
        "blocks reversed": lambda r: r["blocks"].reverse(),
        "a block twice": lambda r: r.update(blocks=r["blocks"] * 2, count=2 * r["count"]),
        "arrival": lambda r: r["blocks"].__setitem__(
            0, (draws.choice((0, 2**63 - 1, 2**63, 2**64 - 1)), r["blocks"][0][1])
        ),
        "weights": lambda r: r.update(weights=flipped(draws, r["weights"])),
        "weights of a NaN": lambda r: r.update(weights=r["weights"][:-1] + b"\x7f"),
        "weights too long": lambda r: r.update(weights=r["weights"] + bytes(70_000)),
        "memory": lambda r: r.update(memory=flipped(draws, r["memory"])),
        "a first memory": lambda r: r.update(
            memory=encoding.write_tensors({"momentum": np.ones(3)})
        ),
        "rules too long": lambda r: r.update(rules=bytes(2**20 + 1)),
        "a byte of a block": lambda r: shown(r, lambda data: flipped(draws, data)),
        "a tag of a header": lambda r: shown(r, lambda data: b"fedchain:m" + data[10:]),
        "a block that goes on": lambda r: shown(r, lambda data: data + b"\0"),
        "a block that ends": lambda r: shown(r, lambda data: data[:-other]),
        "a message length": lambda r: shown(r, lambda d: d[:364] + other.to_bytes(4) + d[368:]),
        "messages without end": lambda r: shown(r, lambda d: d[:360] + b"\xff" * 4 + d[364:]),
        "a block length": lambda r: r.update(longer=2**60),
        "digest": lambda r: r.update(digest=bytes(32)),
        "more": lambda r: r.update(more=b"\0"),
        "less": lambda r: r.update(less=draws.randrange(1, 99)),
        "any byte": lambda r: r.update(flip=draws.random()),
        "any byte, the digest right": lambda r: r.update(flip=draws.random(), again=True),
    }
    name = draws.choice(list(ways))
    hand.sealed = name in ("version", "count", "head", "genesis as head", "no blocks", "arrival")

    def hook(kind: str, record: Record) -> None:
        if kind == "file" and record["blocks"]:
            ways[name](record)

    hand.hook = hook
    return f"file: {name}"


def change_nothing(_draws: random.Random, _hand: Hand) -> str:
    """Leave a chain right: both must accept it."""
    return "nothing"


KINDS: dict[str, tuple[int, Mutate]] = {
    "right": (1, change_nothing),
    "agreed": (6, change_agreed),
    "text": (2, change_text),
    "message": (7, change_message),
    "header": (3, change_header),
    "block": (4, change_block),
    "file": (5, change_file),
}
"""How often each kind of mutant is drawn, and how it is made."""
BASES = 512
"""Number of chains from which mutants are made."""


class Mutant(NamedTuple):
    """A chain in which one thing was changed."""

    kind: str
    what: str
    """What was changed."""
    data: bytes
    sealed: bool
    """Whether hashes, work and signatures are right again."""
    beyond: bool
    """Whether a value is beyond the bounds of its table: both verifiers must refuse the chain."""


def mutant(draws: random.Random) -> Mutant:
    """Return a drawn mutant."""
    hand = base(random.Random(draws.randrange(BASES)))
    kind = draws.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    what = KINDS[kind][1](draws, hand)
    rules = canonical.write({k: hand.agreed[k] for k in ("aggregation", "update", "ledger")})
    return Mutant(kind, f"{what} in {rules}", make(hand), hand.sealed, hand.beyond)
