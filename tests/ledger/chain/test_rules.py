from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import AGREED, make_rules

from fedchain.errors import EncodingError
from fedchain.ledger.chain.canonical import canonical_text
from fedchain.ledger.chain.rules import MOST_RULES, Rules, decode_rules, encode_rules

RULES = make_rules()
TEXT = encode_rules(RULES)
VALUE = json.loads(TEXT)
OTHERS = {
    "aggregation": "{}",
    "update": "{}",
    "mechanism": "knorm",
    "noise": (3.5, 4.5),
    "clip": math.inf,
    "agreed": AGREED.replace("digits", "mnist"),
    "records": ((200, 3), (201, 1)),
    "root": True,
    "commitment": bytes(32),
    "dimension": 13,
    "layout": (("weight", (5, 2)), ("bias", (2,))),
    "dtype": "float32",
    "holders": 5,
    "identity": "open",
    "identity_root": bytes(32),
    "quorum": 3,
    "rounds": 31,
    "storage": "int32",
    "max_norm": 100.5,
    "work": "sampled",
    "bits": RULES.bits - 1,
    "interval_ms": 1001,
    "retarget_window": 1,
    "max_ahead_ms": 5001,
}
"""Another value of every field."""


def with_value(path: str, value: object) -> bytes:
    """Return the text with another value at a path of keys."""
    changed = json.loads(TEXT)
    *above, last = path.split(".")
    inner = changed
    for key in above:
        inner = inner[key]
    inner[last] = value
    return canonical_text(changed).encode()


def changed_rules(name: str) -> Rules:
    none = {"records": ()} if name == "identity" else {}
    return replace(RULES, **none, **{name: OTHERS[name]})


def test_every_field_of_the_rules_is_in_their_hash():
    assert set(OTHERS) == {field.name for field in fields(Rules)}
    others = [changed_rules(name) for name in OTHERS]
    assert len({each.hash for each in (RULES, *others)}) == len(OTHERS) + 1
    for each in others:
        assert decode_rules(encode_rules(each)) == each


def test_a_clip_that_follows_a_quantile_and_numbers_at_the_bounds_are_read_back():
    for name, value in (
        ("clip", None),
        ("max_norm", math.inf),
        ("max_ahead_ms", 2**53),
        ("noise", (0.0, 1e300, 5e-324)),
        ("records", ()),
        ("records", ((1, 2**32 - 1), (2**32 - 1, 1))),
        ("layout", ()),
        ("mechanism", "x" * 64),
    ):
        assert decode_rules(encode_rules(replace(RULES, **{name: value}))) == replace(
            RULES, **{name: value}
        )


REFUSED = {
    "format": (1, "format: got 1; must be 2"),
    "aggregation": ("mean", 'aggregation: got "mean"; must be an object'),
    "task": (None, "task: got null; must be an object"),
    "groups": (3, "groups: got 3; must be an object"),
    "momentum": ([], "momentum: got \\[\\]; must be an object"),
    "threat": ("none", 'threat: got "none"; must be an object'),
    "privacy": ({"kind": "none", "clip": 1}, "privacy: got .*; must be an object with noise too"),
    "privacy.kind": ("", 'privacy.kind: got ""; must be a text of 1 to 64 bytes'),
    "privacy.noise": ([], "privacy.noise: got \\[\\]; must be a list of 1 to 65536 numbers"),
    "privacy.clip": (0, 'privacy.clip: got 0; must be a number above 0, or "inf"'),
    "records": ([[2, 1], [1, 1]], "records: got .* must be in ascending order"),
    "root": (1, "root: got 1; must be true or false"),
    "commitment": ("AA" * 32, "commitment: got .*; must be 64 hexadecimal digits in lower case"),
    "model": ({}, "model: got \\[\\]; must be an object with exactly dimension, dtype, layout"),
    "model.dimension": (2**32, "model.dimension: got 4294967296; must be a whole number from 0"),
    "model.dtype": ("int8", 'model.dtype: got "int8"; must be one of float64, float32'),
    "model.layout": ([["w", [-1]]], "model.layout: got .*; must be a name of at most 256 bytes"),
    "ledger.holders": (True, "ledger.holders: got true; must be a whole number"),
    "ledger.identity": ("none", 'ledger.identity: got "none"; must be one of registered, open'),
    "ledger.identity_root": ("", "ledger.identity_root: .* must be 64 hexadecimal digits"),
    "ledger.quorum": (1.5, "ledger.quorum: got 1.5; must be a whole number from 0 to 4294967295"),
    "ledger.rounds": ("4", 'ledger.rounds: got "4"; must be a whole number'),
    "ledger.storage": (["int8"], "ledger.storage: .* one of int8, int16, int32"),
    "ledger.max_norm": (-1, "ledger.max_norm: got -1; must be a number above 0"),
    "ledger.work": (None, "ledger.work: got null; must be one of hashcash, sampled"),
    "ledger.bits": (0, "ledger.bits: bits: 0x00000000 is no target"),
    "ledger.interval_ms": (0, "ledger.interval_ms: got 0; must be a whole number from 1"),
    "ledger.retarget_window": (-1, "ledger.retarget_window: got -1; must be a whole number"),
    "ledger.max_ahead_ms": (1e20, "ledger.max_ahead_ms: got 100000000000000000000; must be"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_value_that_is_not_allowed_is_refused_and_its_key_named(path):
    value, reason = REFUSED[path]
    with pytest.raises(EncodingError, match=f"^rules: {reason}"):
        decode_rules(with_value(path, value))


def test_every_key_has_a_refused_value():
    paths = {key for key in VALUE if key not in ("ledger", "update")}
    paths |= {f"{name}.{key}" for name in ("model", "ledger") for key in VALUE[name]}
    assert paths <= REFUSED.keys()


@pytest.mark.parametrize("name", sorted(VALUE))
def test_a_missing_key_and_a_key_too_many_are_refused(name):
    less = {key: value for key, value in VALUE.items() if key != name}
    with pytest.raises(EncodingError, match=r"rules: text: got .*; must be an object with exactly"):
        decode_rules(canonical_text(less).encode())
    with pytest.raises(EncodingError, match=r"rules: text: got .*; must be an object with exactly"):
        decode_rules(canonical_text(VALUE | {name + "x": 1}).encode())


def test_rules_of_the_first_format_are_named_in_one_line():
    with pytest.raises(
        EncodingError, match=r"older fedchain \(format 1\).* run the scenario again"
    ):
        decode_rules(b"fedchain:r" + bytes(200))


def test_a_root_and_registered_numbers_need_registered_identities():
    for changes in ({"root": True}, {"records": ((1, 1),)}):
        with pytest.raises(EncodingError, match=r"records: .* where identities are open"):
            encode_rules(make_rules(**{"identity": "open", "records": (), **changes}))


def test_rules_that_no_text_says_have_no_bytes():
    for changes in (
        {"noise": (math.nan,)},
        {"noise": ()},
        {"clip": 0.0},
        {"aggregation": '{"kind": "mean"}'},
        {"update": "["},
        {"agreed": "{}"},
        {"commitment": b"short"},
        {"identity_root": b""},
        {"records": ((3, 1), (2, 1))},
        {"quorum": -1},
        {"max_ahead_ms": 2**53 + 1},
        {"mechanism": "\ud800"},
    ):
        with pytest.raises(EncodingError):
            encode_rules(replace(RULES, **changes))


def test_text_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(EncodingError, match=f"at most {MOST_RULES} are allowed"):
        decode_rules(b"[" * (MOST_RULES + 1))


BOUND = st.floats(min_value=5e-324, allow_infinity=True)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    mechanism=st.text(min_size=1, max_size=16),
    noise=st.lists(
        st.floats(min_value=0.0, allow_infinity=False).map(abs), min_size=1, max_size=4
    ).map(tuple),
    clip=st.none() | BOUND,
    records=st.dictionaries(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1), max_size=6).map(
        lambda counts: tuple(sorted(counts.items()))
    ),
    root=st.booleans(),
    max_norm=BOUND,
    quorum=st.integers(0, 2**32 - 1),
    max_ahead_ms=st.integers(0, 2**53),
    layout=st.lists(
        st.tuples(st.text(max_size=8), st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple)),
        max_size=4,
    ).map(tuple),
    commitment=st.binary(min_size=32, max_size=32),
)
def test_all_rules_are_read_back_from_their_text(**changes):
    rules = replace(RULES, **changes)
    assert decode_rules(encode_rules(rules)) == rules
