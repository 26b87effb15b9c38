"""Mutants of the agreed text: other values of its keys, and other spellings of the same values."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from hand_chain import Hand, Record

FORMAT = Path(__file__).resolve().parents[1] / "docs" / "format.md"
DELETED = object()
"""Stands for a key that is taken away."""
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 3, 4, 5, 255, 256, 65535, 65536, 2**31 - 1, 2**32 - 1, 2**32,
    2**53, 2.0**53 + 2, 0.5, 0.999, 1.5, -0.5, 1e-7, 5e-324, 1e21, 1e300, 1.7e308,
    "", "inf", "-inf", "nan", "0", "1", "none", "gaussian", "open", "registered", "sampled", "int8",
    "int32", "float32", "unit", "mean", "x" * 64, "x" * 65, "é" * 32, "é" * 33, "00" * 32,
    "AB" * 32, "0" * 63, "records", [], [0], [1], [1, 1], [2, 1], [0.5, 1.5], [1, "inf"], [None],
    [[2, 1], [1, 1]], [[1, 1], [1, 1]], [[1, 0]], [[1, 1, 1]], [[3, 9]], [[True, 1]], [[1.5, 1]],
    [["w", [3]]], [["w", [3], 0]], [["", []]], [["é" * 129, [1]]], [["w", [-1]]], [["w", [2**32]]],
    {}, {"kind": "mean"}, {"kind": "krum"}, {"kind": "momentum", "learning_rate": 1},
    {"kind": 3}, {"kind": "my_lab:rule"}, {"kind": "adam"}, {"cap": "median", "kind": "records"},
    {"cap": None, "kind": "records"}, {"kind": "records"}, "equal",
    {"x": {"x": {"x": 1}}}, DELETED,
)  # fmt: skip
"""Values that are put into the place of any other."""

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


def agreed_keys() -> list[str]:
    """Return the keys of the agreed text, as the table of docs/format.md lists them."""
    page = FORMAT.read_text(encoding="utf-8").partition("## The agreed text")[2]
    table = page.partition("\n##")[0]
    return re.findall(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE)


def put(value: Record, key: str, new: Any) -> None:
    """Put a new value at a dotted key, or take the key away."""
    *above, last = key.split(".")
    for name in above:
        value = value[name]
    if new is DELETED:
        value.pop(last, None)
    else:
        value[last] = new


def change_agreed(draws: random.Random, hand: Hand) -> str:
    """Give a key of the agreed text another value, take it away, or add one."""
    keys = agreed_keys()
    parts = [("aggregation", "scale"), ("aggregation", "keep"), ("aggregation", "weights")]
    parts += [("update", name) for name in hand.agreed["update"]] + [("update", "decay")]
    keys += [".".join(part) for part in parts] + ["extra", "model.extra", "ledger.extra"]
    key, new = draws.choice(keys), draws.choice(VALUES)
    before, after = hand.hook, new if new is DELETED else json.loads(json.dumps(new))

    def hook(kind: str, record: Record) -> None:
        before(kind, record)
        if kind == "agreed":
            put(record, key, after)

    hand.hook = hook
    return f"{key} = {'nothing' if new is DELETED else repr(new)}"


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
