"""Chains made by hand in which one check of docs/format.md is broken, with the field's name."""

from __future__ import annotations

import copy
import math

import agreed_mutants
import hand_bytes
from hand_chain import AGREED, ROOT, Hand
from verify_chain import encoding, work

HALF = work.compact_of(2**252)
NODE = hand_bytes.public_of(hand_bytes.secret_of("node", 1))


def agreed_with(**changes: object) -> dict:
    """Return what is agreed with other values; `ledger_quorum` stands for ledger.quorum."""
    agreed = copy.deepcopy(AGREED)
    for name, value in changes.items():
        agreed_mutants.put(agreed, name.replace("__", "."), value)
    return agreed


def wrong(stage: str, at: dict, change: dict, **agreed: object) -> Hand:
    """Return a hand that changes fields of the records of a stage that have these values."""
    hand = Hand(agreed=agreed_with(**agreed))

    def hook(kind: str, record: dict) -> None:
        if kind == stage and all(record.get(key) == value for key, value in at.items()):
            for name, new in change.items():
                inner = record["header"] if stage == "header" and name != "messages" else record
                inner[name] = new(inner[name]) if callable(new) else new

    hand.hook = hook
    return hand


def said(holder: int, change: dict, **agreed: object) -> Hand:
    """Return a hand whose holder sends a wrong message in the first round."""
    return wrong("message", {"holder": holder, "height": 1}, change, **agreed)


def headed(change: dict, number: int = 2, **agreed: object) -> Hand:
    return wrong("header", {"number": number}, change, **agreed)


def blocked(change: dict, number: int = 2, **agreed: object) -> Hand:
    return wrong("block", {"number": number}, change, **agreed)


def filed(change: dict) -> Hand:
    return wrong("file", {}, change)


def speaking(hand: Hand, **changes: object) -> Hand:
    """Return a hand with other speakers, silent ones, public roots or parents."""
    for name, value in changes.items():
        setattr(hand, name, value)
    return hand


def narrow(direction: bytes) -> bytes:
    """Return the entries of a direction in half the bytes each."""
    return b"".join(direction[k : k + 1] for k in range(0, len(direction), 2))


def halved(direction: bytes) -> bytes:
    """Return a direction whose entries are half as large."""
    pairs = (direction[k : k + 2] for k in range(0, len(direction), 2))
    halves = [int.from_bytes(pair, "little", signed=True) // 2 for pair in pairs]
    return b"".join(half.to_bytes(2, "little", signed=True) for half in halves)


def doubled(direction: bytes) -> bytes:
    """Return a direction with its first entry in place of all."""
    return direction[:2] * (len(direction) // 2)


def nonce_that_fails(record_raw: bytes) -> bytes:
    """Return a header whose nonce does not bring its hash below the target."""
    for nonce in range(100):
        raw = record_raw[:-8] + nonce.to_bytes(8)
        name = encoding.sha(encoding.sha(raw))
        if int.from_bytes(name) > work.target_of(AGREED["ledger"]["bits"]):
            return raw
    raise AssertionError("some nonce fails")


def resigned(number: int, raw: object, **agreed: object) -> Hand:
    """Return a hand whose block has another header, signed again."""
    hand = Hand(agreed=agreed_with(**agreed))

    def hook(kind: str, record: dict) -> None:
        if kind == "block" and record["number"] == number:
            record["raw"] = raw(record["raw"])
            record["signature"] = hand_bytes.signed(record["secret"], record["raw"])

    hand.hook = hook
    return hand


OPEN = {"ledger__identity": "open", "records": [], "root": False}
THREE = {"speakers": (0, 1, 2)}
ZERO_KEY = b"\1" + bytes(31)
BROKEN = {
    "message version": ("version", said(0, {"version": 1})),
    "another chain": ("chain_id", said(0, {"chain_id": bytes(32)})),
    "another parent": ("parent", said(0, {"parent": bytes(32)})),
    "another round": ("round", said(0, {"round": 2})),
    "a key that is not registered": ("proof", said(0, {"public_key": NODE})),
    "no proof": ("proof", said(0, {"proof": None})),
    "a proof of another leaf": ("proof", said(0, {"proof": lambda p: (p[0] ^ 1, *p[1:])})),
    "a proof with too few hashes": ("proof", said(0, {"proof": lambda p: (*p[:2], p[2][:-1])})),
    "a proof with too many": ("proof", said(0, {"proof": lambda p: (*p[:2], [*p[2], bytes(32)])})),
    "a proof of no leaf": ("proof", said(0, {"proof": (0, 0, [])})),
    "another storage": ("direction", said(0, {"width": 1, "direction": narrow})),
    "too few entries": ("direction", said(0, {"entries": 2, "direction": lambda d: d[:4]})),
    "a direction too short": ("direction", said(0, {"direction": halved})),
    "a direction too long": ("direction", said(0, {"exponent": lambda e: e - 1})),
    "an exponent too large": ("exponent", said(0, {"exponent": 21})),
    "an exponent too small": ("exponent", said(0, {"exponent": 13})),
    "a larger exponent fits": (
        "exponent",
        said(0, {"exponent": lambda e: e - 1, "direction": halved}),
    ),
    "zero exponent": ("direction", said(0, {"exponent": 0, "norm": 0.0})),
    "zero norm": ("norm", said(0, {"norm": 0.0})),
    "negative norm": ("norm", said(0, {"norm": -1.0})),
    "a norm above the agreed one": ("norm", said(0, {"norm": 100.5})),
    "no finite norm": ("norm", said(0, {"norm": math.inf}, ledger__max_norm="inf")),
    "a norm that is no number": ("norm", said(0, {"norm": math.nan})),
    "a zero message with a norm": ("norm", said(1, {"norm": 1.0})),
    "a zero message with a negative zero": ("norm", said(1, {"norm": -0.0})),
    "a zero message with an exponent": ("direction", said(1, {"exponent": 14, "norm": 1.0})),
    "another mechanism": ("mechanism", said(0, {"mechanism": "none"})),
    "a step beyond the schedule": ("noise_step", said(0, {"noise_step": 2})),
    "the noise of another step": ("noise", said(0, {"noise_step": 0})),
    "another noise": ("noise", said(0, {"noise": 1.0e6})),
    "another clip": ("clip", said(0, {"clip": 0.25})),
    "no clip": ("clip", said(0, {"clip": math.inf})),
    "a clip where there is none": ("clip", said(0, {"clip": 1.0}, privacy__clip="inf")),
    "an infinite clip that follows a quantile": (
        "clip",
        said(0, {"clip": math.inf}, privacy__clip=None),
    ),
    "a clip of zero that follows a quantile": ("clip", said(0, {"clip": 0.0}, privacy__clip=None)),
    "records that are not registered": ("records", said(0, {"records": 2**32 - 1})),
    "another's records": ("proof", said(0, {"records": 5})),
    "no records": ("mechanism", speaking(said(0, {"records": 0}), **THREE)),
    "no records and no root": ("records", speaking(said(0, {"records": 0}, root=False), **THREE)),
    "a public root with a mechanism": ("mechanism", said(ROOT, {"mechanism": "gaussian"})),
    "a public root with a step": ("noise_step", said(ROOT, {"noise_step": 1})),
    "a public root with noise": ("noise", said(ROOT, {"noise": 1.25})),
    "a public root with a clip": ("clip", said(ROOT, {"clip": 0.5})),
    "an open identity with a proof": (
        "proof",
        speaking(said(0, {"proof": (0, 1, [])}, **OPEN), **THREE),
    ),
    "an open identity without records": (
        "records",
        speaking(said(0, {"records": 0}, **OPEN), **THREE),
    ),
    "a message without signature": ("signature", said(0, {"signature": bytes(64)})),
    "a message of a key of small order": (
        "signature",
        speaking(
            said(0, {"public_key": ZERO_KEY, "signature": ZERO_KEY + bytes(32)}, **OPEN), **THREE
        ),
    ),
    "block version": ("version", headed({"version": 1})),
    "a block of another chain": ("chain_id", headed({"chain_id": bytes(32)})),
    "a height left out": ("height", headed({"height": 3})),
    "a height above the rounds": ("height", Hand(agreed=agreed_with(ledger__rounds=2))),
    "no such parent": ("parent", headed({"parent": bytes(32)})),
    "a time not above the median": ("time_ms", headed({"time_ms": 0})),
    "a time too far ahead": ("time_ms", headed({"time_ms": 9000})),
    "other bits": ("bits", headed({"bits": HALF})),
    "bits that were not adapted": (
        "bits",
        headed(
            {"bits": AGREED["ledger"]["bits"]},
            number=2,
            ledger__retarget_window=2,
            ledger__interval_ms=2000,
        ),
    ),
    "no work": ("nonce", resigned(2, nonce_that_fails)),
    "a nonce where work is sampled": (
        "nonce",
        resigned(2, lambda raw: raw[:-1] + b"\1", ledger__work="sampled"),
    ),
    "another address": ("address", headed({"address": bytes(32)})),
    "another maker": ("public_key", blocked({"public_key": NODE})),
    "a block without signature": ("signature", blocked({"signature": bytes(64)})),
    "another root": ("messages_root", headed({"messages_root": bytes(32)})),
    "another state": ("weights_hash", headed({"weights_hash": bytes(32)})),
    "another memory": ("memory_hash", headed({"memory_hash": bytes(32)})),
    "other rules": ("rules_hash", headed({"rules_hash": bytes(32)})),
    "too few messages": ("messages", Hand(agreed=agreed_with(ledger__quorum=5))),
    "too many messages": ("messages", Hand(agreed=agreed_with(ledger__holders=2))),
    "one identity twice": ("messages", speaking(Hand(), speakers=(0, 0, 2))),
    "two public roots": (
        "messages",
        speaking(Hand(), speakers=(0, 2, ROOT), public=(0, ROOT)),
    ),
    "file version": ("version|format", filed({"version": 3})),
    "another head": ("head", filed({"head": bytes(32)})),
    "a block less": ("file|head", filed({"count": lambda n: n - 1})),
    "a block more": ("file", filed({"count": lambda n: n + 1})),
    "a late arrival": ("file", filed({"blocks": lambda b: [(2**63, b[0][1]), *b[1:]]})),
}
