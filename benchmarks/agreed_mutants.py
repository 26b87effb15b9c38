"""Mutants of the agreed text: values of its tables and others, and other spellings."""

from __future__ import annotations

import copy
import random
from typing import Any

from format_tables import (
    DELETED,
    DESCENT,
    PRE_AGGREGATIONS,
    agreed_rows,
    parameter_rows,
    stands_in_a_rule,
    values_of,
)
from hand_chain import Hand, Record

SPELLINGS: dict[str, tuple[bytes, bytes]] = {
    "a space": (b",", b", "),
    "a space in front": (b"{", b" {"),
    "a line end": (b"}}}", b"}}}\n"),
    "a byte order mark": (b"{", b"\xef\xbb\xbf{"),
    "the old tag": (b"{", b"fedchain:r{"),
    "3.0": (b'"dimension":3', b'"dimension":3.0'),
    "1e3": (b'"interval_ms":1000', b'"interval_ms":1e3'),
    ".50": (b'"clip":0.5', b'"clip":0.50'),
    "-0": (b'"retarget_window":0', b'"retarget_window":-0'),
    "2^53": (b'"delta":0.00001', b'"delta":9007199254740992'),
    "2^53 + 1": (b'"delta":0.00001', b'"delta":9007199254740993'),
    "2^53 + 2": (b'"delta":0.00001', b'"delta":9007199254740994'),
    "-2^53 - 2": (b'"delta":0.00001', b'"delta":-9007199254740994'),
    "10^20": (b'"delta":0.00001', b'"delta":100000000000000000000'),
    "10^21": (b'"delta":0.00001', b'"delta":1000000000000000000000'),
    "1e21": (b'"delta":0.00001', b'"delta":1e+21'),
    "1e999": (b'"delta":0.00001', b'"delta":1e999'),
    "10^400": (b'"delta":0.00001', b'"delta":1' + b"0" * 400),
    "10^5000": (b'"delta":0.00001', b'"delta":1' + b"0" * 5000),
    "NaN": (b'"delta":0.00001', b'"delta":NaN'),
    "Infinity": (b'"delta":0.00001', b'"delta":-Infinity'),
    "inf": (b'"delta":0.00001', b'"delta":"-inf"'),
    "an exponent": (b'"delta":0.00001', b'"delta":1e-05'),
    "a short exponent": (b'"delta":0.00001', b'"delta":1e-7'),
    "a key twice": (b'"root":', b'"root":false,"root":'),
    "a key twice inside": (b'"delta":', b'"delta":0.00001,"delta":'),
    "an escape": (b"made_up", b"made\\u005fup"),
    "a control character": (b"made_up", b"made\\u0007up"),
    "a short escape": (b"made_up", b"made\\u000aup"),
    "an escape in upper case": (b"made_up", b"made\\u000Bup"),
    "half of a pair": (b"made_up", b"made\\ud83dup"),
    "a pair": (b"made_up", b"made\\ud83d\\ude00up"),
    "a slash": (b"made_up", b"made\\/up"),
    "no UTF-8": (b"made_up", b"made\xffup"),
    "a surrogate in UTF-8": (b"made_up", b"made\xed\xa0\x80up"),
    "a raw tab": (b"made_up", b"made\tup"),
    "a delete": (b"made_up", b"made\x7fup"),
    "other characters": (b"made_up", "made\u2028\u00e9\U0001f600up".encode()),
    "keys out of order": (b'{"aggregation"', b'{"update":0,"aggregation"'),
    "UTF-16 order": (b'"groups":null', '"groups":{"\U0001f600":1,"\ufb33":2}'.encode()),
    "code point order": (b'"groups":null', '"groups":{"\ufb33":2,"\U0001f600":1}'.encode()),
    "an empty key": (b'"groups":null', b'"groups":{"":1}'),
}
"""What is written in another way: the bytes that are found, and those in their place."""
TEXTS = {"nothing": b"", "a list": b"[]", "a number": b"2", "null": b"null", "an object": b"{}"}
"""Whole texts."""


def put(value: Record, key: str, new: Any) -> None:
    """Put a new value at a dotted key, or take the key away."""
    *above, last = key.split(".")
    for name in above:
        value = value[int(name) if isinstance(value, list) else name]
    if new is DELETED:
        value.pop(last, None)
    else:
        value[last] = new


def change_agreed(draws: random.Random, hand: Hand) -> str:
    """Give a key or a parameter of the tables a value within or beyond its bounds, or none."""
    if draws.random() < 0.02:
        return change_kind(draws, hand)
    if draws.random() < 0.5:
        row = draws.choice(list(agreed_rows().values()))
        key, required = row.key, True
    else:
        kind = draws.choice(list(parameter_rows()))
        row = draws.choice(list(parameter_rows()[kind].values()))
        key, required = placed(draws, hand, kind, row.key), row.required
    right, wrong = values_of(row)
    chance = draws.random()
    new, bad = DELETED, required
    if chance < 0.05:
        key, new, bad = f"{key.rpartition('.')[0]}.another".lstrip("."), 1, True
        bad = not key.startswith(("privacy.", "task."))
    elif chance < 0.9:
        bad = not right or draws.random() < 0.6
        new = draws.choice(wrong if bad else right)
    hand.beyond = bad
    before = hand.hook

    def hook(kind: str, record: Record) -> None:
        before(kind, record)
        if kind == "agreed":
            put(record, key, copy.deepcopy(new) if new is not DELETED else new)

    hand.hook = hook
    return f"{key} = {'nothing' if new is DELETED else repr(new)[:80]}"


def change_kind(draws: random.Random, hand: Hand) -> str:
    """Name a rule or an update that there is not, or let an update stand around itself."""
    hand.beyond = True
    if draws.random() < 0.5:
        hand.agreed["update"] = {"kind": "averaged", "of": {"kind": "averaged", "of": DESCENT}}
        return "an update around itself"
    name, others = draws.choice((("aggregation", ("adam", 3)), ("update", ("mean", None))))
    hand.agreed[name] = {"kind": draws.choice(others)}
    return f"{name} = {hand.agreed[name]!r}"


def placed(draws: random.Random, hand: Hand, kind: str, name: str) -> str:
    """Let a chain use a rule or an update, and return the key of one of its parameters."""
    if kind in PRE_AGGREGATIONS:
        hand.agreed["aggregation"] = {"kind": "mean", "first": [{"kind": kind}]}
        return f"aggregation.first.0.{name}"
    if stands_in_a_rule(kind):
        needed = {"l_nearest": {"keep": 2}, "average_of": {"rules": [{"kind": "median"}]}}
        hand.agreed["aggregation"] = {"kind": kind} | copy.deepcopy(needed.get(kind, {}))
        return f"aggregation.{name}"
    rows = parameter_rows()[kind].values()
    part = {row.key: draws.choice(values_of(row)[0]) for row in rows if row.required}
    hand.agreed["update"] = {"kind": kind, **copy.deepcopy(part)}
    if draws.random() < 0.2 and kind != "averaged":
        hand.agreed["update"] = {"kind": "averaged", "of": hand.agreed["update"]}
        return f"update.of.{name}"
    return f"update.{name}"


def change_text(draws: random.Random, hand: Hand) -> str:
    """Write the agreed text in another way, or another text that is nearly the same."""
    name = draws.choice([*SPELLINGS, *TEXTS, "levels", "levels", "a byte", "a byte"])
    deep = draws.choice((28, 29, 30, 31, 32, 33, 200, 5000))
    inside = b"[" * deep + draws.choice((b"", b"1")) + b"]" * deep

    def text(right: bytes) -> bytes:
        if name == "a byte":
            return flipped(draws, right)
        if name in TEXTS:
            return TEXTS[name]
        found, other = SPELLINGS.get(name, (b'"momentum":null', b'"momentum":{"a":%b}' % inside))
        return right.replace(found, other, 1)

    hand.text = text
    return f"spelling: {name}" + f", {inside[:8]!r} {deep} deep" * (name == "levels")


def flipped(draws: random.Random, data: bytes) -> bytes:
    """Return bytes with one bit changed."""
    if not data:
        return b"\0"
    place = draws.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << draws.randrange(8)]) + data[place + 1 :]
